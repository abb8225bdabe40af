. ./common.sh

cc() { aws codecommit "$@"; }

# put BRANCH FILE CONTENT: a commit on the branch; prints its id.
put() {
    tip=$(aws codecommit get-branch --repository-name review --branch-name "$1" --query branch.commitId --output text)
    cc put-file --repository-name review --branch-name "$1" --file-path "$2" --file-content "$3" \
        --parent-commit-id "$tip" --query commitId --output text
}

# open SOURCE: a pull request into main; prints its id.
open() {
    cc create-pull-request --title "$1" --targets "repositoryName=review,sourceReference=$1" \
        --query pullRequest.pullRequestId --output text
}

# revision ID: the pull request's revision.
revision() { cc get-pull-request --pull-request-id "$1" --query pullRequest.revisionId --output text; }

cc create-repository --repository-name review >/dev/null
main=$(cc put-file --repository-name review --branch-name main --file-path lines --file-content '1' \
    --query commitId --output text)
for name in topic clash three forward; do
    cc create-branch --repository-name review --branch-name "$name" --commit-id "$main"
done
topic=$(put topic topic one)

# Templates: two approvals of reviewers, for what goes into main.
content='{"Version":"2018-11-08","DestinationReferences":["refs/heads/main"],"Statements":[{"Type":"Approvers","NumberOfApprovalsNeeded":2,"ApprovalPoolMembers":["CodeCommitApprovers:'$ACCOUNT':reviewers/*"]}]}'
cc create-approval-rule-template --approval-rule-template-name reviewed --approval-rule-template-content "$content" >/dev/null
refused ApprovalRuleTemplateNameAlreadyExistsException CreateApprovalRuleTemplate aws codecommit \
    create-approval-rule-template --approval-rule-template-name reviewed --approval-rule-template-content "$content"
hash=$(cc get-approval-rule-template --approval-rule-template-name reviewed \
    --query approvalRuleTemplate.ruleContentSha256 --output text)
one=$(printf '%s' "$content" | sed 's/Needed":2/Needed":1/')
cc update-approval-rule-template-content --approval-rule-template-name reviewed --new-rule-content "$one" \
    --existing-rule-content-sha256 "$hash" >/dev/null
refused InvalidRuleContentSha256Exception UpdateApprovalRuleTemplateContent aws codecommit \
    update-approval-rule-template-content --approval-rule-template-name reviewed --new-rule-content "$one" \
    --existing-rule-content-sha256 "$hash"
text 'Somebody else looks' codecommit update-approval-rule-template-description --approval-rule-template-name reviewed \
    --approval-rule-template-description 'Somebody else looks' \
    --query approvalRuleTemplate.approvalRuleTemplateDescription
cc update-approval-rule-template-name --old-approval-rule-template-name reviewed \
    --new-approval-rule-template-name gate >/dev/null
text gate codecommit list-approval-rule-templates --query approvalRuleTemplateNames
cc associate-approval-rule-template-with-repository --approval-rule-template-name gate --repository-name review
text review codecommit list-repositories-for-approval-rule-template --approval-rule-template-name gate \
    --query repositoryNames
text gate codecommit list-associated-approval-rule-templates-for-repository --repository-name review \
    --query approvalRuleTemplateNames
refused ApprovalRuleTemplateInUseException DeleteApprovalRuleTemplate aws codecommit delete-approval-rule-template \
    --approval-rule-template-name gate
text 'review none' codecommit batch-associate-approval-rule-template-with-repositories --approval-rule-template-name gate \
    --repository-names review none --query '[associatedRepositoryNames[0],errors[0].repositoryName]'

# A pull request, and a vote of somebody else.
id=$(open topic)
text "topic OPEN $topic gate" codecommit get-pull-request --pull-request-id "$id" \
    --query 'pullRequest.[title,pullRequestStatus,pullRequestTargets[0].sourceCommit,approvalRules[0].approvalRuleName]'
text "$id" codecommit list-pull-requests --repository-name review --pull-request-status OPEN --query pullRequestIds
text 'Another title' codecommit update-pull-request-title --pull-request-id "$id" --title 'Another title' \
    --query pullRequest.title
text 'More words' codecommit update-pull-request-description --pull-request-id "$id" --description 'More words' \
    --query pullRequest.description
old=$(revision "$id")
topic=$(put topic topic two)
text 'PULL_REQUEST_CREATED PULL_REQUEST_SOURCE_REFERENCE_UPDATED' codecommit describe-pull-request-events \
    --pull-request-id "$id" --query 'pullRequestEvents[].pullRequestEventType'
new=$(revision "$id")
[ "$old" != "$new" ] || fail "a push made no new revision"
refused PullRequestApprovalRulesNotSatisfiedException MergePullRequestBySquash aws codecommit \
    merge-pull-request-by-squash --pull-request-id "$id" --repository-name review
refused PullRequestCannotBeApprovedByAuthorException UpdatePullRequestApprovalState aws codecommit \
    update-pull-request-approval-state --pull-request-id "$id" --revision-id "$new" --approval-state APPROVE
keys=$(aws sts assume-role --role-arn "arn:aws:iam::$ACCOUNT:role/reviewers" --role-session-name anna \
    --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)
set -- $keys
reviewer() {
    (
        export AWS_ACCESS_KEY_ID="$key" AWS_SECRET_ACCESS_KEY="$secret" AWS_SESSION_TOKEN="$token"
        aws codecommit "$@"
    )
}
key=$1 secret=$2 token=$3
refused RevisionNotCurrentException UpdatePullRequestApprovalState reviewer update-pull-request-approval-state \
    --pull-request-id "$id" --revision-id "$old" --approval-state APPROVE
reviewer update-pull-request-approval-state --pull-request-id "$id" --revision-id "$new" --approval-state APPROVE
text "arn:aws:sts::$ACCOUNT:assumed-role/reviewers/anna" codecommit get-pull-request-approval-states \
    --pull-request-id "$id" --revision-id "$new" --query 'approvals[].userArn'
text 'True gate' codecommit evaluate-pull-request-approval-rules --pull-request-id "$id" --revision-id "$new" \
    --query 'evaluation.[approved,approvalRulesSatisfied[0]]'
# What the reviewers' role was not given.
refused AccessDeniedException UpdatePullRequestTitle reviewer update-pull-request-title --pull-request-id "$id" --title x

# Rules of the pull request's own, and an override.
rule='{"Version":"2018-11-08","Statements":[{"Type":"Approvers","NumberOfApprovalsNeeded":1,"ApprovalPoolMembers":["arn:aws:iam::'$ACCOUNT':user/nobody"]}]}'
cc create-pull-request-approval-rule --pull-request-id "$id" --approval-rule-name nobody \
    --approval-rule-content "$rule" >/dev/null
text "$(printf '%s' "$rule" | sed s/nobody/ben/)" codecommit update-pull-request-approval-rule-content \
    --pull-request-id "$id" --approval-rule-name nobody --new-rule-content "$(printf '%s' "$rule" | sed s/nobody/ben/)" \
    --query approvalRule.approvalRuleContent
refused CannotDeleteApprovalRuleFromTemplateException DeletePullRequestApprovalRule aws codecommit \
    delete-pull-request-approval-rule --pull-request-id "$id" --approval-rule-name gate
cc override-pull-request-approval-rules --pull-request-id "$id" --revision-id "$new" --override-status OVERRIDE
text "True arn:aws:iam::$ACCOUNT:user/developer" codecommit get-pull-request-override-state --pull-request-id "$id" \
    --revision-id "$new" --query '[overridden,overrider]'
cc override-pull-request-approval-rules --pull-request-id "$id" --revision-id "$new" --override-status REVOKE
cc delete-pull-request-approval-rule --pull-request-id "$id" --approval-rule-name nobody >/dev/null

# Comments.
comment=$(cc post-comment-for-pull-request --pull-request-id "$id" --repository-name review --before-commit-id "$main" \
    --after-commit-id "$topic" --content 'Why two?' \
    --location filePath=topic,filePosition=1,relativeFileVersion=AFTER --query comment.commentId --output text)
text "$comment" codecommit post-comment-reply --in-reply-to "$comment" --content 'Because.' --query comment.inReplyTo
text 'Why not three?' codecommit update-comment --comment-id "$comment" --content 'Why not three?' --query comment.content
refused CommentNotCreatedByCallerException UpdateComment reviewer update-comment --comment-id "$comment" --content 'Mine'
cc put-comment-reaction --comment-id "$comment" --reaction-value :eyes:
text ':eyes:' codecommit get-comment-reactions --comment-id "$comment" \
    --query 'reactionsForComment[].reaction.shortCode'
text '1' codecommit get-comment --comment-id "$comment" --query comment.reactionCounts.EYES
text 'topic 2' codecommit get-comments-for-pull-request --pull-request-id "$id" \
    --query 'commentsForPullRequestData[0].[location.filePath,length(comments)]'
text 'On the commits' codecommit post-comment-for-compared-commit --repository-name review --before-commit-id "$main" \
    --after-commit-id "$topic" --content 'On the commits' --query comment.content
text 'On the commits' codecommit get-comments-for-compared-commit --repository-name review --before-commit-id "$main" \
    --after-commit-id "$topic" --query 'commentsForComparedCommitData[].comments[].content'
text True codecommit delete-comment-content --comment-id "$comment" --query comment.deleted
refused CommentDeletedException GetComment aws codecommit get-comment --comment-id "$comment"

# The merges of pull requests.
refused TipOfSourceReferenceIsDifferentException MergePullRequestBySquash aws codecommit merge-pull-request-by-squash \
    --pull-request-id "$id" --repository-name review --source-commit-id "$main"
text 'CLOSED True SQUASH_MERGE' codecommit merge-pull-request-by-squash --pull-request-id "$id" --repository-name review \
    --source-commit-id "$topic" --commit-message 'All at once' --author-name Stranger --email stranger@example.com \
    --query 'pullRequest.[pullRequestStatus,pullRequestTargets[0].mergeMetadata.isMerged,pullRequestTargets[0].mergeMetadata.mergeOption]'
tip=$(cc get-branch --repository-name review --branch-name main --query branch.commitId --output text)
text 'All at once' codecommit get-commit --repository-name review --commit-id "$tip" --query commit.message
text 1 codecommit get-commit --repository-name review --commit-id "$tip" --query 'length(commit.parents)'
cc disassociate-approval-rule-template-from-repository --approval-rule-template-name gate --repository-name review
put three three one >/dev/null
id=$(open three)
refused ManualMergeRequiredException MergePullRequestByFastForward aws codecommit merge-pull-request-by-fast-forward \
    --pull-request-id "$id" --repository-name review
text THREE_WAY_MERGE codecommit merge-pull-request-by-three-way --pull-request-id "$id" --repository-name review \
    --query 'pullRequest.pullRequestTargets[0].mergeMetadata.mergeOption'
text FAST_FORWARD_MERGE codecommit get-merge-options --repository-name review --source-commit-specifier main \
    --destination-commit-specifier forward --query 'mergeOptions[0]'
cc merge-branches-by-fast-forward --repository-name review --source-commit-specifier main \
    --destination-commit-specifier forward >/dev/null
tip=$(put forward forward one)
id=$(open forward)
text "$tip" codecommit merge-pull-request-by-fast-forward --pull-request-id "$id" --repository-name review \
    --source-commit-id "$tip" --query 'pullRequest.pullRequestTargets[0].mergeMetadata.mergeCommitId'

# Conflicts.
put clash lines theirs >/dev/null
put main lines ours >/dev/null
text 'False lines 1' codecommit get-merge-conflicts --repository-name review --source-commit-specifier clash \
    --destination-commit-specifier main --merge-option THREE_WAY_MERGE \
    --query '[mergeable,conflictMetadataList[0].filePath,conflictMetadataList[0].numberOfConflicts]'
text "$(printf theirs | base64) $(printf ours | base64)" codecommit describe-merge-conflicts --repository-name review \
    --source-commit-specifier clash --destination-commit-specifier main --merge-option THREE_WAY_MERGE \
    --file-path lines --query 'mergeHunks[0].[source.hunkContent,destination.hunkContent]'
text 'lines none' codecommit batch-describe-merge-conflicts --repository-name review --source-commit-specifier clash \
    --destination-commit-specifier main --merge-option SQUASH_MERGE --file-paths lines none \
    --query '[conflicts[0].conflictMetadata.filePath,errors[0].filePath]'
refused ManualMergeRequiredException MergeBranchesBySquash aws codecommit merge-branches-by-squash \
    --repository-name review --source-commit-specifier clash --destination-commit-specifier main
cc create-unreferenced-merge-commit --repository-name review --source-commit-specifier clash \
    --destination-commit-specifier main --merge-option SQUASH_MERGE --conflict-resolution-strategy ACCEPT_SOURCE >/dev/null
cc merge-branches-by-squash --repository-name review --source-commit-specifier clash \
    --destination-commit-specifier main --conflict-resolution-strategy AUTOMERGE \
    --conflict-resolution 'replaceContents=[{filePath=lines,replacementType=USE_NEW_CONTENT,content=both}]' >/dev/null
text "$(printf both | base64)" codecommit get-file --repository-name review --file-path lines --query fileContent
put clash lines again >/dev/null
cc merge-branches-by-three-way --repository-name review --source-commit-specifier clash \
    --destination-commit-specifier main --conflict-resolution-strategy ACCEPT_DESTINATION >/dev/null

# The end.
put clash clash more >/dev/null
id=$(open clash)
text CLOSED codecommit update-pull-request-status --pull-request-id "$id" --pull-request-status CLOSED \
    --query pullRequest.pullRequestStatus
refused InvalidPullRequestStatusUpdateException UpdatePullRequestStatus aws codecommit update-pull-request-status \
    --pull-request-id "$id" --pull-request-status OPEN
text 'review' codecommit batch-disassociate-approval-rule-template-from-repositories --approval-rule-template-name gate \
    --repository-names review --query disassociatedRepositoryNames
cc delete-approval-rule-template --approval-rule-template-name gate >/dev/null
cc delete-repository --repository-name review >/dev/null
