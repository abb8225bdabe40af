. ./common.sh

git() { command git -c init.defaultBranch=main -c user.name='The stranger' -c user.email=stranger@example.com "$@"; }

# A repository through git-remote-codecommit, which speaks HTTPS; the push starts a build.
aws codecommit create-repository --repository-name parcel >/dev/null
git clone -q codecommit::eu-west-1://parcel parcel 2>clone.log || fail "the clone failed: $(cat clone.log)"
cat >project.json <<JSON
{
    "name": "parcel-unit",
    "source": { "type": "CODECOMMIT", "location": "$ENDPOINT/v1/repos/parcel" },
    "artifacts": { "type": "NO_ARTIFACTS" },
    "environment": { "type": "LINUX_CONTAINER", "image": "aws/codebuild/standard:7.0", "computeType": "BUILD_GENERAL1_SMALL" },
    "serviceRole": "arn:aws:iam::$ACCOUNT:role/build"
}
JSON
aws codebuild create-project --cli-input-json file://project.json >/dev/null
cat >policy.yaml <<'YAML'
mode: enforce
repositories:
  parcel:
    triggers:
      unit:
        on: { push: { branches: [main] }, pull_request: { into: [main] } }
        start: { build: parcel-unit }
    notifications:
      - about: [build.failed, build.fixed]
        to: [team]
YAML
bucket=$(aws cloudformation describe-stack-resources --stack-name signalbox --logical-resource-id Bucket \
    --query 'StackResources[0].PhysicalResourceId' --output text)
aws s3 cp policy.yaml "s3://$bucket/policy/signalbox.yaml" >/dev/null

# push TEXT-OF-BUILDSPEC-COMMAND: commits a buildspec, pushes it, waits for its build; prints the build's id and status.
push() {
    printf 'version: 0.2\nphases:\n  build:\n    commands:\n      - %s\n' "$1" >parcel/buildspec.yml
    git -C parcel add . && git -C parcel commit -qm "$1" && git -C parcel push -q "$2" HEAD:main 2>push.log ||
        fail "the push failed: $(cat push.log)"
    commit=$(git -C parcel rev-parse HEAD)
    for _ in $(seq 60); do
        ids=$(aws codebuild list-builds-for-project --project-name parcel-unit --query ids --output text)
        if [ -n "$ids" ] && [ "$ids" != None ]; then
            found=$(aws codebuild batch-get-builds --ids $ids \
                --query "builds[?resolvedSourceVersion=='$commit' && buildComplete].[id,buildStatus]" --output text)
            [ -z "$found" ] || { printf '%s\n' "$found" && return; }
        fi
        sleep 0.5
    done
    fail "no build of $commit ended"
}

found=$(push 'echo it breaks && false' origin)
[ "${found#*	}" = FAILED ] || fail "the first build: $found"
log=$(aws codebuild batch-get-builds --ids "${found%	*}" --query 'builds[0].logs.[groupName,streamName]' --output text)
aws logs get-log-events --log-group-name "${log%	*}" --log-stream-name "${log#*	}" --query 'events[].message' --output text |
    grep -q 'it breaks' || fail 'the log does not have what the build said'

# The fix goes over http, with AWS's own credential helper; it answers for other hosts than AWS's only when it is told to.
git -C parcel config credential.helper ''
git -C parcel config --add credential.helper '!aws codecommit credential-helper --ignore-host-check $@'
git -C parcel config credential.UseHttpPath true
found=$(push 'echo it works' "$ENDPOINT/v1/repos/parcel")
[ "${found#*	}" = SUCCEEDED ] || fail "the second build: $found"
command git ls-remote -q codecommit::eu-west-1://parcel refs/heads/main | grep -q "^$(git -C parcel rev-parse HEAD)" ||
    fail 'git-remote-codecommit does not see what was pushed over http'

# A pull request is built by itself, and asked about in a comment.
git -C parcel switch -qc topic
printf 'version: 0.2\nphases:\n  build:\n    commands:\n      - test "$SIGNALBOX_INTO" = refs/heads/main\n' >parcel/buildspec.yml
git -C parcel commit -qam 'a topic' && git -C parcel push -q origin topic 2>push.log || fail "$(cat push.log)"
topic=$(git -C parcel rev-parse HEAD)
id=$(aws codecommit create-pull-request --title 'A topic' --targets repositoryName=parcel,sourceReference=topic \
    --query pullRequest.pullRequestId --output text)
for _ in $(seq 60); do
    ids=$(aws codebuild list-builds-for-project --project-name parcel-unit --query ids --output text)
    status=$(aws codebuild batch-get-builds --ids $ids \
        --query "builds[?resolvedSourceVersion=='$topic' && buildComplete].buildStatus" --output text)
    [ -z "$status" ] || break
    sleep 0.5
done
[ "$status" = SUCCEEDED ] || fail "the build of the pull request: $status"
aws codecommit post-comment-for-pull-request --pull-request-id "$id" --repository-name parcel \
    --before-commit-id "$(git -C parcel rev-parse main)" --after-commit-id "$topic" --content '/test untit' >/dev/null
for _ in $(seq 60); do
    said=$(aws codecommit get-comments-for-pull-request --pull-request-id "$id" \
        --query 'commentsForPullRequestData[0].comments[1].content' --output text)
    [ "$said" = None ] || break
    sleep 0.5
done
case $said in *'Did you mean `/test unit`?'*) ;; *) fail "the comment's answer: $said" ;; esac

for _ in $(seq 40); do
    curl -sf "$ENDPOINT/inbox" >inbox
    grep -q 'parcel-unit is fixed on main\|unit is fixed on main of parcel' inbox && break
    sleep 0.5
done
grep -q 'unit broke on main of parcel' inbox || fail 'no mail says that the build broke'
grep -q 'unit is fixed on main of parcel' inbox || fail 'no mail says that the build is fixed'

# Required checks: CodeCommit itself refuses the merge until the build that the trigger started is green.
aws codecommit create-repository --repository-name gated >/dev/null
sed 's/parcel/gated/g' project.json >gated.json
aws codebuild create-project --cli-input-json file://gated.json >/dev/null
cat >gated.yaml <<'YAML'
mode: enforce
repositories:
  gated:
    triggers:
      gated:
        on: { pull_request: { into: [main] } }
        start: { build: gated-unit }
    approvals:
      main: { checks: [gated, tidy] }
    protection:
      - { name: tidy, refs: [main], files: { forbid: ["*.pem"] } }
YAML
aws s3 cp gated.yaml "s3://$bucket/policy/signalbox.yaml" >/dev/null

# spec BRANCH COMMAND [PARENT]: commits a buildspec of one command; prints the commit.
spec() {
    printf 'version: 0.2\nphases:\n  build:\n    commands: ["%s"]\n' "$2" >buildspec.yml
    aws codecommit put-file --repository-name gated --branch-name "$1" --file-path buildspec.yml \
        --file-content fileb://buildspec.yml ${3:+--parent-commit-id "$3"} --query commitId --output text
}

# said WORDS: waits until the one comment on the pull request says so.
said() {
    for _ in $(seq 60); do
        told=$(aws codecommit get-comments-for-pull-request --pull-request-id "$id" \
            --query 'commentsForPullRequestData[].comments[].content' --output text)
        case $told in *"$1"*) return ;; esac
        sleep 0.5
    done
    fail "no comment says: $1" "$told"
}

main=$(spec main true)
aws codecommit create-branch --repository-name gated --branch-name topic --commit-id "$main"
topic=$(spec topic false "$main")
id=$(aws codecommit create-pull-request --title gated --targets repositoryName=gated,sourceReference=topic \
    --query pullRequest.pullRequestId --output text)
said 'ended as FAILED'
refused PullRequestApprovalRulesNotSatisfiedException MergePullRequestBySquash aws codecommit \
    merge-pull-request-by-squash --pull-request-id "$id" --repository-name gated
topic=$(spec topic 'echo mended' "$topic")
said 'Everything is met'
said 'nothing is wrong in 2 commits'
text CLOSED codecommit merge-pull-request-by-squash --pull-request-id "$id" --repository-name gated \
    --query pullRequest.pullRequestStatus
