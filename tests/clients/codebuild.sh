. ./common.sh

cb() { aws codebuild "$@"; }

cat >project.json <<'JSON'
{
    "name": "checks",
    "source": { "type": "NO_SOURCE", "buildspec": "version: 0.2\nphases:\n  build:\n    commands:\n      - echo hello from $WHERE\n      - sleep ${NAP:-0}\n" },
    "artifacts": { "type": "NO_ARTIFACTS" },
    "environment": { "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL" },
    "serviceRole": "arn:aws:iam::111122223333:role/build"
}
JSON
text "arn:aws:codebuild:eu-west-1:$ACCOUNT:project/checks" codebuild create-project --cli-input-json file://project.json \
    --query project.arn
refused ResourceAlreadyExistsException CreateProject aws codebuild create-project --cli-input-json file://project.json
text 30 codebuild update-project --name checks --timeout-in-minutes 30 --query project.timeoutInMinutes
text 'checks none' codebuild batch-get-projects --names checks none --query '[projects[0].name,projectsNotFound[0]]'
case " $(cb list-projects --query projects --output text | tr '\t' ' ') " in
*' checks '*) ;;
*) fail 'list-projects does not know the project checks' ;;
esac

id=$(cb start-build --project-name checks --environment-variables-override name=WHERE,value=here,type=PLAINTEXT \
    --query build.id --output text)
refused ResourceNotFoundException StartBuild aws codebuild start-build --project-name none
refused InvalidInputException ListBuilds aws codebuild list-builds --no-paginate --next-token none
status=
for _ in $(seq 120); do
    status=$(cb batch-get-builds --ids "$id" --query 'builds[0].buildStatus' --output text)
    [ "$status" = IN_PROGRESS ] || break
    sleep 0.5
done
[ "$status" = SUCCEEDED ] || fail "the build ended as $status"
log=$(cb batch-get-builds --ids "$id" --query 'builds[0].logs.[groupName,streamName]' --output text)
case $(aws logs get-log-events --log-group-name "${log%	*}" --log-stream-name "${log#*	}" \
    --query 'events[].message' --output text) in
*'hello from here'*) ;;
*) fail 'the log does not have what the build said' ;;
esac

again=$(cb retry-build --id "$id" --query build.id --output text)
long=$(cb start-build --project-name checks --environment-variables-override name=NAP,value=60 --query build.id --output text)
text STOPPED codebuild stop-build --id "$long" --query build.buildStatus
text "$long $again $id" codebuild list-builds-for-project --project-name checks --query ids
cb list-builds --query 'ids[0]' --output text >/dev/null
cb delete-project --name checks
refused ResourceNotFoundException ListBuildsForProject aws codebuild list-builds-for-project --project-name none
