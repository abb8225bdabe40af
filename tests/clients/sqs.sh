. ./common.sh

sq() { aws sqs "$@"; }

sq create-queue --queue-name dead-strangers >/dev/null
dead=arn:aws:sqs:eu-west-1:$ACCOUNT:dead-strangers
text "$ENDPOINT/$ACCOUNT/strangers" sqs create-queue --queue-name strangers \
    --attributes "{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"$dead\\\",\\\"maxReceiveCount\\\":1}\",\"VisibilityTimeout\":\"0\"}" --query QueueUrl
url=$(sq get-queue-url --queue-name strangers --query QueueUrl --output text)
refused AWS.SimpleQueueService.NonExistentQueue GetQueueUrl aws sqs get-queue-url --queue-name none
text 0 sqs get-queue-attributes --queue-url "$url" --attribute-names VisibilityTimeout --query Attributes.VisibilityTimeout
sq list-queues --queue-name-prefix strangers --query QueueUrls --output text | grep -qx "$url" || fail 'list-queues does not know the queue'
text "$url" sqs list-dead-letter-source-queues --queue-url "$ENDPOINT/$ACCOUNT/dead-strangers" --query queueUrls
refused InvalidParameterValue ListQueues aws sqs list-queues --no-paginate --max-results 1 --next-token none

sq send-message --queue-url "$url" --message-body hello --message-attributes 'a={DataType=String,StringValue=b}' >/dev/null
text 'hello b' sqs receive-message --queue-url "$url" --message-attribute-names All \
    --query 'Messages[0].[Body,MessageAttributes.a.StringValue]'
# Seen once already: the second look sends it to the dead letters.
text None sqs receive-message --queue-url "$url" --query Messages
text 1 sqs get-queue-attributes --queue-url "$ENDPOINT/$ACCOUNT/dead-strangers" \
    --attribute-names ApproximateNumberOfMessages --query Attributes.ApproximateNumberOfMessages
sq start-message-move-task --source-arn "$dead" >/dev/null
moved=
for _ in 1 2 3 4 5 6 7 8 9 10; do
    moved=$(sq list-message-move-tasks --source-arn "$dead" --query 'Results[0].Status' --output text)
    [ "$moved" = COMPLETED ] && break
    sleep 0.3
done
[ "$moved" = COMPLETED ] || fail "the move task is $moved"
refused ResourceNotFoundException CancelMessageMoveTask aws sqs cancel-message-move-task --task-handle none
sq set-queue-attributes --queue-url "$url" --attributes VisibilityTimeout=30
receipt=$(sq receive-message --queue-url "$url" --wait-time-seconds 5 --query 'Messages[0].ReceiptHandle' --output text)
sq change-message-visibility --queue-url "$url" --receipt-handle "$receipt" --visibility-timeout 60
text 1 sqs change-message-visibility-batch --queue-url "$url" \
    --entries "[{\"Id\":\"1\",\"ReceiptHandle\":\"$receipt\",\"VisibilityTimeout\":30}]" --query 'Successful[].Id'
sq delete-message --queue-url "$url" --receipt-handle "$receipt"
text '1 2' sqs send-message-batch --queue-url "$url" --entries Id=1,MessageBody=one Id=2,MessageBody=two --query 'Successful[].Id'
receipt=$(sq receive-message --queue-url "$url" --query 'Messages[0].ReceiptHandle' --output text)
text 1 sqs delete-message-batch --queue-url "$url" --entries "[{\"Id\":\"1\",\"ReceiptHandle\":\"$receipt\"}]" --query 'Successful[].Id'
sq purge-queue --queue-url "$url"
sq delete-queue --queue-url "$url"
sq delete-queue --queue-url "$ENDPOINT/$ACCOUNT/dead-strangers"
