. ./common.sh

text "$ACCOUNT arn:aws:iam::$ACCOUNT:user/developer" sts get-caller-identity --query '[Account,Arn]'
