. ./common.sh

text "$ACCOUNT arn:aws:iam::$ACCOUNT:user/developer" sts get-caller-identity --query '[Account,Arn]'
refused AccessDenied AssumeRole aws sts assume-role --role-arn "arn:aws:iam::$ACCOUNT:role/none" --role-session-name me
keys=$(aws sts assume-role --role-arn "arn:aws:iam::$ACCOUNT:role/strangers" --role-session-name me \
    --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)
# The keys of the session are good, and are somebody else's.
set -- $keys
is "arn:aws:sts::$ACCOUNT:assumed-role/strangers/me" env AWS_ACCESS_KEY_ID="$1" AWS_SECRET_ACCESS_KEY="$2" \
    AWS_SESSION_TOKEN="$3" aws sts get-caller-identity --query Arn --output text
# A role of another account: both sides must agree, and the external id must be the one that it asks for.
mirror="arn:aws:iam::$MIRROR:role/SignalboxMirror"
refused AccessDenied AssumeRole aws sts assume-role --role-arn "$mirror" --role-session-name me
refused AccessDenied AssumeRole aws sts assume-role --role-arn "$mirror" --role-session-name me --external-id other
keys=$(aws sts assume-role --role-arn "$mirror" --role-session-name me --external-id our-copies \
    --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)
set -- $keys
there() (
    export AWS_ACCESS_KEY_ID="$1" AWS_SECRET_ACCESS_KEY="$2" AWS_SESSION_TOKEN="$3"
    shift 3
    command aws "$@"
)
is "$MIRROR arn:aws:sts::$MIRROR:assumed-role/SignalboxMirror/me" there "$1" "$2" "$3" \
    sts get-caller-identity --query '[Account,Arn]' --output text
# What is made with them is made there, and only what the role may.
is "arn:aws:codecommit:eu-west-1:$MIRROR:sts-copy" there "$1" "$2" "$3" \
    codecommit create-repository --repository-name sts-copy --query repositoryMetadata.Arn --output text
refused RepositoryDoesNotExistException GetRepository aws codecommit get-repository --repository-name sts-copy
if told=$(there "$1" "$2" "$3" codecommit delete-repository --repository-name sts-copy 2>&1); then fail "it was deleted"; fi
case $told in *"(AccessDeniedException) when calling the DeleteRepository"*) ;; *) fail "told: $told" ;; esac
if told=$(there "$1" "$2" "$3" sns list-topics 2>&1); then fail "sns is played there"; fi
case $told in *"does not play sns in the account $MIRROR"*) ;; *) fail "told: $told" ;; esac
AWS_SECRET_ACCESS_KEY=wrong refused SignatureDoesNotMatch GetCallerIdentity aws sts get-caller-identity
AWS_ACCESS_KEY_ID=AKIANOBODY refused InvalidClientTokenId GetCallerIdentity aws sts get-caller-identity
