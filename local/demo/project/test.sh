# Fails when the sum is wrong.
sum=$(sh add.sh 2 2)
if [ "$sum" != 4 ]; then
    echo "2 + 2 should be 4, but add.sh says $sum"
    exit 1
fi
echo "2 + 2 is 4"
