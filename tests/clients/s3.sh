. ./common.sh

s3() { aws s3api "$@"; }

s3 create-bucket --bucket strangers --create-bucket-configuration LocationConstraint=eu-west-1 >/dev/null
refused BucketAlreadyOwnedByYou CreateBucket aws s3api create-bucket --bucket strangers \
    --create-bucket-configuration LocationConstraint=eu-west-1
s3 wait bucket-exists --bucket strangers
s3 head-bucket --bucket strangers >/dev/null
refused 404 HeadBucket aws s3api head-bucket --bucket strangers-none
text eu-west-1 s3api get-bucket-location --bucket strangers --query LocationConstraint
s3 list-buckets --query 'Buckets[].Name' --output text | tr '\t' '\n' | grep -qx strangers || fail 'list-buckets does not know the bucket'

# What is set on a bucket.
s3 put-bucket-versioning --bucket strangers --versioning-configuration Status=Enabled
text Enabled s3api get-bucket-versioning --bucket strangers --query Status
s3 put-bucket-encryption --bucket strangers --server-side-encryption-configuration \
    '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
text AES256 s3api get-bucket-encryption --bucket strangers \
    --query 'ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm'
s3 delete-bucket-encryption --bucket strangers
s3 put-public-access-block --bucket strangers --public-access-block-configuration \
    BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
text True s3api get-public-access-block --bucket strangers --query PublicAccessBlockConfiguration.BlockPublicAcls
s3 delete-public-access-block --bucket strangers
refused NoSuchPublicAccessBlockConfiguration GetPublicAccessBlock aws s3api get-public-access-block --bucket strangers
refused NoSuchLifecycleConfiguration GetBucketLifecycleConfiguration aws s3api get-bucket-lifecycle-configuration --bucket strangers
s3 put-bucket-lifecycle-configuration --bucket strangers --lifecycle-configuration \
    '{"Rules":[{"ID":"old","Status":"Enabled","Filter":{"Prefix":"x/"},"Expiration":{"Days":30}}]}' >/dev/null
text 30 s3api get-bucket-lifecycle-configuration --bucket strangers --query 'Rules[0].Expiration.Days'
s3 delete-bucket-lifecycle --bucket strangers
refused NoSuchBucketPolicy GetBucketPolicy aws s3api get-bucket-policy --bucket strangers
s3 put-bucket-policy --bucket strangers --policy '{"Version":"2012-10-17","Statement":[{"Sid":"tls","Effect":"Deny","Principal":"*","Action":"s3:DeleteBucketPolicy","Resource":"arn:aws:s3:::strangers","Condition":{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:user/nobody"}}}]}'
s3 get-bucket-policy --bucket strangers --query Policy --output text | grep -q '"tls"' || fail 'the bucket policy is another one'
s3 delete-bucket-policy --bucket strangers

# Objects, and writes that happen only if nobody was faster.
printf 'hello\n' >hello
etag=$(s3 put-object --bucket strangers --key a/hello --body hello --content-type text/plain --if-none-match '*' --query ETag --output text)
refused PreconditionFailed PutObject aws s3api put-object --bucket strangers --key a/hello --body hello --if-none-match '*'
s3 put-object --bucket strangers --key a/hello --body hello --content-type text/plain --if-match "$etag" >/dev/null
refused PreconditionFailed PutObject aws s3api put-object --bucket strangers --key a/hello --body hello --if-match '"00000000000000000000000000000000"'
s3 wait object-exists --bucket strangers --key a/hello
text '6 text/plain' s3api head-object --bucket strangers --key a/hello --query '[ContentLength,ContentType]'
s3 get-object --bucket strangers --key a/hello back >/dev/null
cmp hello back
refused NoSuchKey GetObject aws s3api get-object --bucket strangers --key none none
refused 304 GetObject aws s3api get-object --bucket strangers --key a/hello --if-none-match "$etag" none
s3 copy-object --bucket strangers --copy-source strangers/a/hello --key b/copy >/dev/null
text 'a/hello b/copy' s3api list-objects-v2 --bucket strangers --query 'Contents[].Key'
text 'a/ b/' s3api list-objects-v2 --bucket strangers --delimiter / --query 'CommonPrefixes[].Prefix'
text 'a/hello' s3api list-objects-v2 --bucket strangers --no-paginate --max-keys 1 --query 'Contents[].Key'
text 'a/hello b/copy' s3api list-objects-v2 --bucket strangers --page-size 1 --query 'Contents[].Key'
refused InvalidArgument ListObjectsV2 aws s3api list-objects-v2 --bucket strangers --no-paginate --continuation-token none
text 'a/hello b/copy' s3api list-objects --bucket strangers --page-size 1 --query 'Contents[].Key'

# An upload in parts, by hand and by the command that does so with what is large.
id=$(s3 create-multipart-upload --bucket strangers --key parts --query UploadId --output text)
text "$id" s3api list-multipart-uploads --bucket strangers --query 'Uploads[].UploadId'
tag=$(s3 upload-part --bucket strangers --key parts --upload-id "$id" --part-number 1 --body hello --query ETag --output text)
text 1 s3api list-parts --bucket strangers --key parts --upload-id "$id" --query 'Parts[].PartNumber'
s3 complete-multipart-upload --bucket strangers --key parts --upload-id "$id" \
    --multipart-upload "{\"Parts\":[{\"PartNumber\":1,\"ETag\":\"$(printf '%s' "$tag" | tr -d '"')\"}]}" >/dev/null
text 6 s3api head-object --bucket strangers --key parts --query ContentLength
id=$(s3 create-multipart-upload --bucket strangers --key parts --query UploadId --output text)
s3 abort-multipart-upload --bucket strangers --key parts --upload-id "$id"
refused NoSuchUpload ListParts aws s3api list-parts --bucket strangers --key parts --upload-id "$id"
s3 delete-object --bucket strangers --key parts >/dev/null
dd if=/dev/zero of=large bs=1048576 count=9 2>/dev/null
aws s3 cp large s3://strangers/large >/dev/null
aws s3 cp s3://strangers/large - | cmp - large
aws s3 rm s3://strangers/large >/dev/null
s3 delete-object --bucket strangers --key a/hello >/dev/null
text '2 1' s3api list-object-versions --bucket strangers --prefix a/ --query '[length(Versions),length(DeleteMarkers)]'
text 'b/copy' s3api delete-objects --bucket strangers --delete 'Objects=[{Key=b/copy}]' --query 'Deleted[].Key'

# The commands for people.
mkdir -p tree/deep
printf 'one\n' >tree/one
printf 'two\n' >tree/deep/two
aws s3 mb s3://strangers-tree >/dev/null
aws s3 sync tree s3://strangers-tree/t >/dev/null
is '' aws s3 sync tree s3://strangers-tree/t
aws s3 ls --recursive s3://strangers-tree/ | awk '{ print $3, $4 }' >listed
[ "$(cat listed)" = "4 t/deep/two
4 t/one" ] || fail "aws s3 ls shows: $(cat listed)"
aws s3 cp s3://strangers-tree/t/one - | cmp - tree/one
printf 'from a pipe\n' | aws s3 cp - 's3://strangers-tree/t/a b+c' >/dev/null
# Version 1 of the CLI signs addresses in the old way unless it is told otherwise; new buckets refuse that.
curl -s "$(aws s3 presign 's3://strangers-tree/t/a b+c')" | grep -q 'Please use AWS4-HMAC-SHA256' || fail 'an address of the old kind is not refused'
aws configure set s3.signature_version s3v4
curl -sf "$(aws s3 presign 's3://strangers-tree/t/a b+c')" | grep -qx 'from a pipe' || fail 'the presigned address does not lead to the object'
aws s3 mv s3://strangers-tree/t/one s3://strangers-tree/moved >/dev/null
aws s3 rm --recursive s3://strangers-tree/ >/dev/null
aws s3 rb s3://strangers-tree >/dev/null
refused BucketNotEmpty DeleteBucket aws s3api delete-bucket --bucket strangers
s3 list-object-versions --bucket strangers --query '{Objects: [Versions,DeleteMarkers][].{Key: Key, VersionId: VersionId}}' >all
s3 delete-objects --bucket strangers --delete file://all >/dev/null
s3 delete-bucket --bucket strangers
