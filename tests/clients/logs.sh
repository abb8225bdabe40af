. ./common.sh

lg() { aws logs "$@"; }

lg create-log-group --log-group-name strangers
refused ResourceAlreadyExistsException CreateLogGroup aws logs create-log-group --log-group-name strangers
lg create-log-stream --log-group-name strangers --log-stream-name one
now=$(($(date +%s) * 1000))
lg put-log-events --log-group-name strangers --log-stream-name one \
    --log-events "timestamp=$((now - 2)),message=first" "timestamp=$((now - 1)),message=second" "timestamp=$now,message=third" >/dev/null
refused ResourceNotFoundException PutLogEvents aws logs put-log-events --log-group-name none --log-stream-name one \
    --log-events "timestamp=$now,message=x"
text strangers logs describe-log-groups --log-group-name-prefix strangers --query 'logGroups[].logGroupName'
text one logs describe-log-streams --log-group-name strangers --query 'logStreams[].logStreamName'
text 'first second third' logs get-log-events --log-group-name strangers --log-stream-name one --start-from-head \
    --query 'events[].message'
text third logs get-log-events --log-group-name strangers --log-stream-name one --limit 1 --query 'events[].message'
text 'second' logs filter-log-events --log-group-name strangers --filter-pattern second --query 'events[].message'
text 'first second third' logs filter-log-events --log-group-name strangers --query 'events[].message'
refused ResourceNotFoundException GetLogEvents aws logs get-log-events --log-group-name strangers --log-stream-name none
lg delete-log-group --log-group-name strangers
refused ResourceNotFoundException DeleteLogGroup aws logs delete-log-group --log-group-name strangers
refused InvalidParameterException DescribeLogGroups aws logs describe-log-groups --no-paginate --next-token none
