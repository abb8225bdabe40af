. ./common.sh

cf() { aws cloudformation "$@"; }

text CREATE_COMPLETE cloudformation describe-stacks --stack-name signalbox --query 'Stacks[0].StackStatus'
refused ValidationError DescribeStacks aws cloudformation describe-stacks --stack-name none
cf wait stack-create-complete --stack-name signalbox
text signalbox cloudformation list-stacks --stack-status-filter CREATE_COMPLETE --query 'StackSummaries[].StackName'
bucket=$(cf describe-stack-resources --stack-name signalbox --logical-resource-id Bucket \
    --query 'StackResources[0].PhysicalResourceId' --output text)
text "$bucket" cloudformation list-stack-resources --stack-name signalbox \
    --query 'StackResourceSummaries[?LogicalResourceId==`Bucket`].PhysicalResourceId'
# Read to its end: the CLI fails where nobody listens any more.
template=$(cf get-template --stack-name signalbox --query TemplateBody --output text)
case $template in *AWS::Serverless*) ;; *) fail 'the template is another one' ;; esac
# What is not there can be deleted, as on AWS.
cf delete-stack --stack-name none
