. ./common.sh

sn() { aws sns "$@"; }

topic=$(sn create-topic --name strangers --query TopicArn --output text)
[ "$topic" = "arn:aws:sns:eu-west-1:$ACCOUNT:strangers" ] || fail "the topic is $topic"
sn set-topic-attributes --topic-arn "$topic" --attribute-name DisplayName --attribute-value 'The strangers'
text 'The strangers' sns get-topic-attributes --topic-arn "$topic" --query Attributes.DisplayName
refused NotFound GetTopicAttributes aws sns get-topic-attributes --topic-arn "$topic-none"
sn list-topics --query "Topics[?TopicArn=='$topic'].TopicArn" --output text | grep -qx "$topic" || fail 'list-topics does not know the topic'
refused InvalidParameter ListTopics aws sns list-topics --no-paginate --next-token none

aws sqs create-queue --queue-name told >/dev/null
queue=$(aws sqs get-queue-url --queue-name told --query QueueUrl --output text)
arn=arn:aws:sqs:eu-west-1:$ACCOUNT:told
aws sqs set-queue-attributes --queue-url "$queue" --attributes "$(printf '{"Policy":"{\\"Version\\":\\"2012-10-17\\",\\"Statement\\":[{\\"Effect\\":\\"Allow\\",\\"Principal\\":{\\"Service\\":\\"sns.amazonaws.com\\"},\\"Action\\":\\"sqs:SendMessage\\",\\"Resource\\":\\"%s\\"}]}"}' "$arn")"
sub=$(sn subscribe --topic-arn "$topic" --protocol sqs --notification-endpoint "$arn" --return-subscription-arn \
    --attributes RawMessageDelivery=true --query SubscriptionArn --output text)
sn set-subscription-attributes --subscription-arn "$sub" --attribute-name FilterPolicy --attribute-value '{"kind":["news"]}'
text '{"kind":["news"]}' sns get-subscription-attributes --subscription-arn "$sub" --query Attributes.FilterPolicy
text "$sub" sns list-subscriptions-by-topic --topic-arn "$topic" --query 'Subscriptions[].SubscriptionArn'
sn list-subscriptions --query 'Subscriptions[].SubscriptionArn' --output text | tr '\t' '\n' | grep -qx "$sub" ||
    fail 'list-subscriptions does not know the subscription'
sn subscribe --topic-arn "$topic" --protocol email --notification-endpoint stranger@example.com >/dev/null
text PendingConfirmation sns list-subscriptions-by-topic --topic-arn "$topic" \
    --query "Subscriptions[?Protocol=='email'].SubscriptionArn"
# The question is in the inbox, and the answer in its link.
token=
for number in $(seq 30); do
    curl -sf "$ENDPOINT/inbox/$number" >letter || continue
    grep -q 'stranger@example.com' letter || continue
    token=$(grep -o 'Token=[0-9a-f]*' letter | head -n 1)
    [ -z "$token" ] || break
done
[ -n "$token" ] || fail 'the inbox has no mail that asks the stranger'
refused InvalidParameter ConfirmSubscription aws sns confirm-subscription --topic-arn "$topic" --token none
mail=$(sn confirm-subscription --topic-arn "$topic" --token "${token#Token=}" --query SubscriptionArn --output text)
text "$mail" sns list-subscriptions-by-topic --topic-arn "$topic" \
    --query "Subscriptions[?Protocol=='email'].SubscriptionArn"

sn publish --topic-arn "$topic" --subject Hello --message 'good news' \
    --message-attributes 'kind={DataType=String,StringValue=news}' >/dev/null
sn publish-batch --topic-arn "$topic" --publish-batch-request-entries \
    'Id=1,Message=filtered' 'Id=2,Message=more news,MessageAttributes={kind={DataType=String,StringValue=news}}' \
    --query 'Successful[].Id' --output text >/dev/null
heard=
for _ in 1 2 3 4 5; do
    heard="$heard $(aws sqs receive-message --queue-url "$queue" --wait-time-seconds 2 --max-number-of-messages 10 --query 'Messages[].Body' --output text)"
    case $heard in *'good news'*'more news'* | *'more news'*'good news'*) break ;; esac
done
case $heard in
*filtered*) fail "the filter let through: $heard" ;;
*'good news'*'more news'* | *'more news'*'good news'*) ;;
*) fail "the queue got only: $heard" ;;
esac
curl -sf "$ENDPOINT/inbox" | grep -q 'stranger@example.com' || fail 'the inbox has no mail to the stranger'
sn unsubscribe --subscription-arn "$sub"
refused InvalidParameter Unsubscribe aws sns unsubscribe --subscription-arn x
sn delete-topic --topic-arn "$topic"
aws sqs delete-queue --queue-url "$queue"
