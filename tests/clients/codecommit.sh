. ./common.sh

cc() { aws codecommit "$@"; }

text "arn:aws:codecommit:eu-west-1:$ACCOUNT:tools $ENDPOINT/v1/repos/tools" \
    codecommit create-repository --repository-name tools --repository-description 'What we work with' \
    --query 'repositoryMetadata.[Arn,cloneUrlHttp]'
refused RepositoryNameExistsException CreateRepository aws codecommit create-repository --repository-name tools
refused InvalidRepositoryNameException CreateRepository aws codecommit create-repository --repository-name 'two words'
text 'What we work with' codecommit get-repository --repository-name tools --query repositoryMetadata.repositoryDescription
refused RepositoryDoesNotExistException GetRepository aws codecommit get-repository --repository-name none
cc update-repository-description --repository-name tools --repository-description 'New words'
text 'tools none' codecommit batch-get-repositories --repository-names tools none \
    --query '[repositories[0].repositoryName,repositoriesNotFound[0]]'

# Files and commits.
first=$(cc put-file --repository-name tools --branch-name main --file-path README --file-content 'one' \
    --commit-message first --name Stranger --email stranger@example.com --query commitId --output text)
text main codecommit get-repository --repository-name tools --query repositoryMetadata.defaultBranch
refused ParentCommitIdRequiredException PutFile aws codecommit put-file --repository-name tools --branch-name main \
    --file-path README --file-content two
second=$(cc create-commit --repository-name tools --branch-name main --parent-commit-id "$first" \
    --commit-message second --put-files 'filePath=src/a,fileContent=a' 'filePath=src/b,fileContent=b' \
    --query commitId --output text)
text second codecommit get-commit --repository-name tools --commit-id "$second" --query commit.message
refused CommitIdDoesNotExistException GetCommit aws codecommit get-commit --repository-name tools \
    --commit-id ffffffffffffffffffffffffffffffffffffffff
text "$first CommitIdDoesNotExistException" codecommit batch-get-commits --repository-name tools \
    --commit-ids "$first" ffffffffffffffffffffffffffffffffffffffff --query '[commits[0].commitId,errors[0].errorCode]'
text 'b25l' codecommit get-file --repository-name tools --file-path README --query fileContent
refused FileDoesNotExistException GetFile aws codecommit get-file --repository-name tools --file-path none
text 'src README' codecommit get-folder --repository-name tools --folder-path / \
    --query '[subFolders[0].absolutePath,files[0].absolutePath]'
blob=$(cc get-folder --repository-name tools --folder-path src --query 'files[0].blobId' --output text)
text 'YQ==' codecommit get-blob --repository-name tools --blob-id "$blob" --query content
text 'A A' codecommit get-differences --repository-name tools --before-commit-specifier "$first" \
    --after-commit-specifier main --query 'differences[].changeType'
third=$(cc delete-file --repository-name tools --branch-name main --file-path src/b --parent-commit-id "$second" \
    --query commitId --output text)

# Branches.
cc create-branch --repository-name tools --branch-name feature --commit-id "$first"
refused BranchNameExistsException CreateBranch aws codecommit create-branch --repository-name tools \
    --branch-name feature --commit-id "$first"
text "$third" codecommit get-branch --repository-name tools --branch-name main --query branch.commitId
text 'feature main' codecommit list-branches --repository-name tools --query branches
text "$first" codecommit get-merge-commit --repository-name tools --source-commit-specifier feature \
    --destination-commit-specifier main --query baseCommitId
refused DefaultBranchCannotBeDeletedException DeleteBranch aws codecommit delete-branch --repository-name tools \
    --branch-name main
cc update-default-branch --repository-name tools --default-branch-name feature
text main codecommit delete-branch --repository-name tools --branch-name main --query deletedBranch.branchName

# Triggers, and a topic that hears of a push.
topic=$(aws sns create-topic --name pushes --query TopicArn --output text)
aws sqs create-queue --queue-name pushed >/dev/null
queue=$(aws sqs get-queue-url --queue-name pushed --query QueueUrl --output text)
arn=arn:aws:sqs:eu-west-1:$ACCOUNT:pushed
aws sqs set-queue-attributes --queue-url "$queue" --attributes "$(printf '{"Policy":"{\\"Version\\":\\"2012-10-17\\",\\"Statement\\":[{\\"Effect\\":\\"Allow\\",\\"Principal\\":{\\"Service\\":\\"sns.amazonaws.com\\"},\\"Action\\":\\"sqs:SendMessage\\",\\"Resource\\":\\"%s\\"}]}"}' "$arn")"
sub=$(aws sns subscribe --topic-arn "$topic" --protocol sqs --notification-endpoint "$arn" --return-subscription-arn \
    --attributes RawMessageDelivery=true --query SubscriptionArn --output text)
triggers="name=pushes,destinationArn=$topic,customData=here,branches=feature,events=updateReference"
text pushes codecommit test-repository-triggers --repository-name tools --triggers "$triggers" --query successfulExecutions
cc put-repository-triggers --repository-name tools --triggers "$triggers" --query configurationId --output text >/dev/null
text "pushes $topic updateReference" codecommit get-repository-triggers --repository-name tools \
    --query 'triggers[0].[name,destinationArn,events[0]]'
refused InvalidRepositoryTriggerEventsException PutRepositoryTriggers aws codecommit put-repository-triggers \
    --repository-name tools --triggers "name=x,destinationArn=$topic,branches=feature,events=all,updateReference"
cc put-file --repository-name tools --branch-name feature --file-path pushed --file-content yes \
    --parent-commit-id "$first" >/dev/null
heard=
for _ in 1 2 3 4 5; do
    heard="$heard $(aws sqs receive-message --queue-url "$queue" --wait-time-seconds 2 --max-number-of-messages 10 --query 'Messages[].Body' --output text)"
    case $heard in *TriggerEventTest*ReferenceChange* | *ReferenceChange*TriggerEventTest*) break ;; esac
done
case $heard in *TriggerEventTest*ReferenceChange* | *ReferenceChange*TriggerEventTest*) ;; *) fail "the topic heard: $heard" ;; esac
cc put-repository-triggers --repository-name tools --triggers '[]' >/dev/null
aws sns unsubscribe --subscription-arn "$sub"
aws sns delete-topic --topic-arn "$topic"
aws sqs delete-queue --queue-url "$queue"

# Names, pages, the end.
cc update-repository-name --old-name tools --new-name tools-2
for name in tools-0 tools-1; do cc create-repository --repository-name "$name" >/dev/null; done
text 'tools-0 tools-1 tools-2' codecommit list-repositories \
    --query 'repositories[?starts_with(repositoryName, `tools-`)].repositoryName'
text 'tools-2 tools-1 tools-0' codecommit list-repositories --sort-by repositoryName --order descending \
    --query 'repositories[?starts_with(repositoryName, `tools-`)].repositoryName'
refused InvalidContinuationTokenException ListRepositories aws codecommit list-repositories --no-paginate --next-token none
for name in tools-0 tools-1 tools-2; do cc delete-repository --repository-name "$name" >/dev/null; done
