. ./common.sh

allow='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"codecommit:GitPush","Resource":"*"}]}'
trust="{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"$ACCOUNT\"},\"Action\":\"sts:AssumeRole\"}]}"

text developer iam get-user --query User.UserName
text "arn:aws:iam::$ACCOUNT:user/strangers/anna" iam create-user --user-name anna --path /strangers/ \
    --tags Key=team,Value=payments --query User.Arn
refused EntityAlreadyExists CreateUser aws iam create-user --user-name anna
text payments iam get-user --user-name anna --query 'User.Tags[0].Value'
text anna iam list-users --path-prefix /strangers/ --query 'Users[].UserName'
text "arn:aws:iam::$ACCOUNT:role/strangers/deploy" iam create-role --role-name deploy --path /strangers/ \
    --assume-role-policy-document "$trust" --max-session-duration 7200 --query Role.Arn
# The CLI shows the trust as it was written.
text "$ACCOUNT" iam get-role --role-name deploy --query 'Role.AssumeRolePolicyDocument.Statement[0].Principal.AWS'
text deploy iam list-roles --path-prefix /strangers/ --query 'Roles[].RoleName'
refused NoSuchEntity GetRole aws iam get-role --role-name nobody

# Who may push: asked of the judgement itself.
may() {
    who=$1 expected=$2
    text "$expected" iam simulate-principal-policy --policy-source-arn "arn:aws:iam::$ACCOUNT:$who" \
        --action-names codecommit:GitPush --resource-arns "arn:aws:codecommit:eu-west-1:$ACCOUNT:demo" \
        --context-entries ContextKeyName=codecommit:References,ContextKeyType=string,ContextKeyValues=refs/heads/main \
        --query 'EvaluationResults[].EvalDecision'
}
may user/strangers/anna implicitDeny
may user/developer allowed
aws iam put-user-policy --user-name anna --policy-name push --policy-document "$allow"
aws iam put-role-policy --role-name deploy --policy-name push --policy-document "$allow"
refused MalformedPolicyDocument PutUserPolicy aws iam put-user-policy --user-name anna --policy-name push --policy-document '{}'
may user/strangers/anna allowed
may role/strangers/deploy allowed
text push iam list-user-policies --user-name anna --query PolicyNames
text push iam list-role-policies --role-name deploy --query PolicyNames
refused NoSuchEntity SimulatePrincipalPolicy aws iam simulate-principal-policy \
    --policy-source-arn "arn:aws:iam::$ACCOUNT:user/nobody" --action-names codecommit:GitPush

refused DeleteConflict DeleteUser aws iam delete-user --user-name anna
aws iam delete-user-policy --user-name anna --policy-name push
may user/strangers/anna implicitDeny
aws iam delete-user --user-name anna
aws iam delete-role-policy --role-name deploy --policy-name push
aws iam delete-role --role-name deploy
refused NoSuchEntity DeleteRole aws iam delete-role --role-name deploy
refused UnknownOperationException ListGroups aws iam list-groups
