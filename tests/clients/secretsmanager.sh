. ./common.sh

text hosts/token secretsmanager create-secret --name hosts/token --secret-string s3cret --query Name
text "hosts/token s3cret" secretsmanager get-secret-value --secret-id hosts/token --query '[Name,SecretString]'
refused ResourceExistsException CreateSecret aws secretsmanager create-secret --name hosts/token --secret-string other
refused ResourceNotFoundException GetSecretValue aws secretsmanager get-secret-value --secret-id hosts/none
refused InvalidParameterException CreateSecret aws secretsmanager create-secret --name "no name" --secret-string x
