. ./common.sh

ev() { aws events "$@"; }

aws sqs create-queue --queue-name heard >/dev/null
queue=$(aws sqs get-queue-url --queue-name heard --query QueueUrl --output text)
arn=arn:aws:sqs:eu-west-1:$ACCOUNT:heard
rule=arn:aws:events:eu-west-1:$ACCOUNT:rule/strangers
aws sqs set-queue-attributes --queue-url "$queue" --attributes "$(printf '{"Policy":"{\\"Version\\":\\"2012-10-17\\",\\"Statement\\":[{\\"Effect\\":\\"Allow\\",\\"Principal\\":{\\"Service\\":\\"events.amazonaws.com\\"},\\"Action\\":\\"sqs:SendMessage\\",\\"Resource\\":\\"%s\\"}]}"}' "$arn")"

pattern='{"source":["com.example.stranger"],"detail":{"n":[{"numeric":[">",1]}]}}'
text "$rule" events put-rule --name strangers --event-pattern "$pattern" --query RuleArn
refused InvalidEventPatternException PutRule aws events put-rule --name strangers --event-pattern '{"source":"x"}'
text 0 events put-targets --rule strangers --targets "Id=queue,Arn=$arn" --query FailedEntryCount
refused ResourceNotFoundException DescribeRule aws events describe-rule --name none
text ENABLED events describe-rule --name strangers --query State
ev disable-rule --name strangers
ev enable-rule --name strangers
text strangers events list-rules --name-prefix strangers --query 'Rules[].Name'
refused ValidationException ListRules aws events list-rules --no-paginate --next-token none
text queue events list-targets-by-rule --rule strangers --query 'Targets[].Id'
text strangers events list-rule-names-by-target --target-arn "$arn" --query RuleNames
event='{"id":"1","detail-type":"t","source":"com.example.stranger","account":"111122223333","time":"2026-01-01T00:00:00Z","region":"eu-west-1","resources":[],"detail":{"n":2}}'
text True events test-event-pattern --event-pattern "$pattern" --event "$event" --query Result
entry='[{"Source":"com.example.stranger","DetailType":"Greeting","Detail":"{\"n\":2}"},{"Source":"aws.codebuild","DetailType":"x","Detail":"{}"}]'
text '1 NotAuthorizedForSourceException' events put-events --entries "$entry" --query '[FailedEntryCount,Entries[1].ErrorCode]'
case $(aws sqs receive-message --queue-url "$queue" --wait-time-seconds 10 --query 'Messages[0].Body' --output text) in
*'"detail-type":"Greeting"'*) ;;
*) fail 'the event did not come into the queue' ;;
esac
# What is kept is heard again.
bus=arn:aws:events:eu-west-1:$ACCOUNT:event-bus/default
text default events list-event-buses --query 'EventBuses[].Name'
text "$bus" events describe-event-bus --query Arn
text "arn:aws:events:eu-west-1:$ACCOUNT:archive/strangers" events create-archive --archive-name strangers \
    --event-source-arn "$bus" --event-pattern '{"source":["com.example.stranger"]}' --query ArchiveArn
text ENABLED events update-archive --archive-name strangers --retention-days 3 --query State
text 3 events describe-archive --archive-name strangers --query RetentionDays
text strangers events list-archives --name-prefix strangers --query 'Archives[].ArchiveName'
from=$(($(date +%s) - 60))
ev put-events --entries '[{"Source":"com.example.stranger","DetailType":"Kept","Detail":"{\"n\":3}"}]' >/dev/null
ev start-replay --replay-name strangers --event-source-arn "arn:aws:events:eu-west-1:$ACCOUNT:archive/strangers" \
    --event-start-time "$from" --event-end-time "$(date +%s)" --destination "Arn=$bus" >/dev/null
state=
for _ in $(seq 40); do
    state=$(ev describe-replay --replay-name strangers --query State --output text)
    case $state in COMPLETED | FAILED) break ;; esac
    sleep 0.5
done
[ "$state" = COMPLETED ] || fail "the replay is $state"
text strangers events list-replays --name-prefix strangers --query 'Replays[].ReplayName'
refused IllegalStatusException CancelReplay aws events cancel-replay --replay-name strangers
ev delete-archive --archive-name strangers
text 0 events remove-targets --rule strangers --ids queue --query FailedEntryCount
ev delete-rule --name strangers
aws sqs delete-queue --queue-url "$queue"
