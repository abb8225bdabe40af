. ./common.sh

text "$ACCOUNT arn:aws:iam::$ACCOUNT:user/developer" sts get-caller-identity --query '[Account,Arn]'
refused AccessDenied AssumeRole aws sts assume-role --role-arn "arn:aws:iam::$ACCOUNT:role/none" --role-session-name me
keys=$(aws sts assume-role --role-arn "arn:aws:iam::$ACCOUNT:role/strangers" --role-session-name me \
    --query 'Credentials.[AccessKeyId,SecretAccessKey,SessionToken]' --output text)
# The keys of the session are good, and are somebody else's.
set -- $keys
is "arn:aws:sts::$ACCOUNT:assumed-role/strangers/me" env AWS_ACCESS_KEY_ID="$1" AWS_SECRET_ACCESS_KEY="$2" \
    AWS_SESSION_TOKEN="$3" aws sts get-caller-identity --query Arn --output text
AWS_SECRET_ACCESS_KEY=wrong refused SignatureDoesNotMatch GetCallerIdentity aws sts get-caller-identity
AWS_ACCESS_KEY_ID=AKIANOBODY refused InvalidClientTokenId GetCallerIdentity aws sts get-caller-identity
