//! The resource types that the local cloud follows, and what of each.

use super::schema::Shape::{Flag, Integer, Json, List, MapOf, Members, Text};
use super::schema::{Member, Shape, followed, needed, only, unnoticed};

/// A resource type that the local cloud follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceKind {
    /// `AWS::Serverless::Function`
    Function,
    /// `AWS::SQS::Queue`
    Queue,
    /// `AWS::SQS::QueuePolicy`
    QueuePolicy,
    /// `AWS::Events::Rule`
    Rule,
    /// `AWS::Events::Archive`
    Archive,
    /// `AWS::SNS::Topic`
    Topic,
    /// `AWS::SNS::Subscription`
    Subscription,
    /// `AWS::SNS::TopicPolicy`
    TopicPolicy,
    /// `AWS::S3::Bucket`
    Bucket,
    /// `AWS::S3::BucketPolicy`
    BucketPolicy,
    /// `AWS::IAM::Role`
    Role,
    /// `AWS::IAM::ManagedPolicy`
    ManagedPolicy,
    /// `AWS::CloudWatch::Alarm`, kept and not evaluated.
    Alarm,
    /// `AWS::Logs::LogGroup`
    LogGroup,
    /// `AWS::Logs::MetricFilter`, kept and not evaluated.
    MetricFilter,
}

impl ResourceKind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Function,
        Self::Queue,
        Self::QueuePolicy,
        Self::Rule,
        Self::Archive,
        Self::Topic,
        Self::Subscription,
        Self::TopicPolicy,
        Self::Bucket,
        Self::BucketPolicy,
        Self::Role,
        Self::ManagedPolicy,
        Self::Alarm,
        Self::LogGroup,
        Self::MetricFilter,
    ];

    /// The type as templates name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Function => "AWS::Serverless::Function",
            Self::Queue => "AWS::SQS::Queue",
            Self::QueuePolicy => "AWS::SQS::QueuePolicy",
            Self::Rule => "AWS::Events::Rule",
            Self::Archive => "AWS::Events::Archive",
            Self::Topic => "AWS::SNS::Topic",
            Self::Subscription => "AWS::SNS::Subscription",
            Self::TopicPolicy => "AWS::SNS::TopicPolicy",
            Self::Bucket => "AWS::S3::Bucket",
            Self::BucketPolicy => "AWS::S3::BucketPolicy",
            Self::Role => "AWS::IAM::Role",
            Self::ManagedPolicy => "AWS::IAM::ManagedPolicy",
            Self::Alarm => "AWS::CloudWatch::Alarm",
            Self::LogGroup => "AWS::Logs::LogGroup",
            Self::MetricFilter => "AWS::Logs::MetricFilter",
        }
    }

    /// The type as a deployed stack has it, once SAM's transform has run.
    pub fn deployed_name(self) -> &'static str {
        match self {
            Self::Function => "AWS::Lambda::Function",
            other => other.name(),
        }
    }

    /// The type of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// What `Fn::GetAtt` may ask for.
    pub fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::Function | Self::Rule | Self::Subscription | Self::Alarm | Self::LogGroup => &["Arn"],
            Self::Archive => &["Arn", "ArchiveName"],
            Self::Queue => &["Arn", "QueueName", "QueueUrl"],
            Self::Topic => &["TopicArn", "TopicName"],
            Self::Bucket => &["Arn", "DomainName", "RegionalDomainName"],
            Self::Role => &["Arn", "RoleId"],
            Self::ManagedPolicy => &["PolicyArn"],
            Self::QueuePolicy | Self::TopicPolicy | Self::BucketPolicy | Self::MetricFilter => &[],
        }
    }

    /// The property that names it, and the longest name that AWS allows.
    pub(super) fn naming(self) -> Option<(&'static str, usize)> {
        match self {
            Self::Function => Some(("FunctionName", 64)),
            Self::Queue => Some(("QueueName", 80)),
            Self::Rule => Some(("Name", 64)),
            Self::Archive => Some(("ArchiveName", 48)),
            Self::Topic => Some(("TopicName", 256)),
            Self::Bucket => Some(("BucketName", 63)),
            Self::Role => Some(("RoleName", 64)),
            Self::ManagedPolicy => Some(("ManagedPolicyName", 128)),
            Self::Alarm => Some(("AlarmName", 255)),
            Self::LogGroup => Some(("LogGroupName", 512)),
            Self::QueuePolicy | Self::Subscription | Self::TopicPolicy | Self::BucketPolicy | Self::MetricFilter => {
                None
            }
        }
    }

    /// The shape of its properties.
    pub(super) fn shape(self) -> &'static Shape {
        match self {
            Self::Function => &FUNCTION,
            Self::Queue => &QUEUE,
            Self::QueuePolicy => &QUEUE_POLICY,
            Self::Rule => &RULE,
            Self::Archive => &ARCHIVE,
            Self::Topic => &TOPIC,
            Self::Subscription => &SUBSCRIPTION,
            Self::TopicPolicy => &TOPIC_POLICY,
            Self::Bucket => &BUCKET,
            Self::BucketPolicy => &BUCKET_POLICY,
            Self::Role => &ROLE,
            Self::ManagedPolicy => &MANAGED_POLICY,
            Self::Alarm | Self::MetricFilter => &Json,
            Self::LogGroup => &LOG_GROUP,
        }
    }
}

const SQS_EVENT: &[Member] = &[
    needed("Queue", Text),
    followed("BatchSize", Integer),
    followed("Enabled", Flag),
    followed("FunctionResponseTypes", List(&Text)),
    followed("MaximumBatchingWindowInSeconds", Integer),
    followed("ScalingConfig", Members(&[followed("MaximumConcurrency", Integer)])),
];

const EVENT: Shape = Members(&[only("Type", &["SQS"]), needed("Properties", Members(SQS_EVENT))]);

/// Also what `Globals.Function` may hold, in the part that SAM allows there.
pub(super) const FUNCTION: Shape = Members(&[
    needed("Handler", Text),
    only("Runtime", &["provided.al2023"]),
    followed("CodeUri", Text),
    followed("FunctionName", Text),
    followed("Environment", Members(&[followed("Variables", MapOf(&Text))])),
    followed("Role", Text),
    followed("Policies", List(&Json)),
    followed("Timeout", Integer),
    followed("MemorySize", Integer),
    followed("Events", MapOf(&EVENT)),
    followed("ReservedConcurrentExecutions", Integer),
    followed(
        "LoggingConfig",
        Members(&[
            followed("LogFormat", Text),
            followed("ApplicationLogLevel", Text),
            followed("SystemLogLevel", Text),
            followed("LogGroup", Text),
        ]),
    ),
    only("PackageType", &["Zip"]),
    // The binary is built for this machine, whatever it will be built for on AWS.
    unnoticed("Architectures"),
    only("Tracing", &["Active", "PassThrough"]),
    unnoticed("Description"),
    unnoticed("EphemeralStorage"),
    unnoticed("KmsKeyArn"),
    followed("PermissionsBoundary", Text),
    unnoticed("Tags"),
]);

const QUEUE: Shape = Members(&[
    followed("QueueName", Text),
    followed("DelaySeconds", Integer),
    followed("MaximumMessageSize", Integer),
    followed("MessageRetentionPeriod", Integer),
    followed("ReceiveMessageWaitTimeSeconds", Integer),
    followed("VisibilityTimeout", Integer),
    followed("RedrivePolicy", Members(&[needed("deadLetterTargetArn", Text), needed("maxReceiveCount", Integer)])),
    followed("RedriveAllowPolicy", Json),
    only("FifoQueue", &["false"]),
    unnoticed("SqsManagedSseEnabled"),
    unnoticed("KmsMasterKeyId"),
    unnoticed("KmsDataKeyReusePeriodSeconds"),
    unnoticed("Tags"),
]);

const QUEUE_POLICY: Shape = Members(&[needed("Queues", List(&Text)), needed("PolicyDocument", Json)]);

const TARGET: Shape = Members(&[
    needed("Arn", Text),
    needed("Id", Text),
    followed("DeadLetterConfig", Members(&[followed("Arn", Text)])),
    followed(
        "RetryPolicy",
        Members(&[followed("MaximumEventAgeInSeconds", Integer), followed("MaximumRetryAttempts", Integer)]),
    ),
    followed("Input", Text),
    followed("InputPath", Text),
    followed("InputTransformer", Members(&[followed("InputPathsMap", MapOf(&Text)), needed("InputTemplate", Text)])),
]);

const RULE: Shape = Members(&[
    followed("Name", Text),
    only("EventBusName", &["default"]),
    followed("EventPattern", Json),
    followed("ScheduleExpression", Text),
    followed("State", Text),
    followed("Targets", List(&TARGET)),
    unnoticed("Description"),
    unnoticed("Tags"),
]);

const ARCHIVE: Shape = Members(&[
    followed("ArchiveName", Text),
    needed("SourceArn", Text),
    followed("Description", Text),
    followed("EventPattern", Json),
    followed("RetentionDays", Integer),
]);

const TOPIC: Shape = Members(&[
    followed("TopicName", Text),
    followed("DisplayName", Text),
    followed("Subscription", List(&Members(&[needed("Endpoint", Text), needed("Protocol", Text)]))),
    only("FifoTopic", &["false"]),
    unnoticed("KmsMasterKeyId"),
    unnoticed("TracingConfig"),
    unnoticed("SignatureVersion"),
    unnoticed("Tags"),
]);

const SUBSCRIPTION: Shape = Members(&[
    needed("TopicArn", Text),
    needed("Protocol", Text),
    needed("Endpoint", Text),
    followed("FilterPolicy", Json),
    followed("FilterPolicyScope", Text),
    followed("RawMessageDelivery", Flag),
    followed("RedrivePolicy", Members(&[needed("deadLetterTargetArn", Text)])),
]);

const TOPIC_POLICY: Shape = Members(&[needed("Topics", List(&Text)), needed("PolicyDocument", Json)]);

const BUCKET: Shape = Members(&[
    followed("BucketName", Text),
    followed("VersioningConfiguration", Members(&[needed("Status", Text)])),
    // Nothing here lives long enough to expire.
    unnoticed("LifecycleConfiguration"),
    unnoticed("BucketEncryption"),
    unnoticed("OwnershipControls"),
    unnoticed("PublicAccessBlockConfiguration"),
    unnoticed("Tags"),
]);

const BUCKET_POLICY: Shape = Members(&[needed("Bucket", Text), needed("PolicyDocument", Json)]);

const ROLE: Shape = Members(&[
    followed("RoleName", Text),
    only("Path", &["/"]),
    needed("AssumeRolePolicyDocument", Json),
    followed("Policies", List(&Members(&[needed("PolicyName", Text), needed("PolicyDocument", Json)]))),
    followed("ManagedPolicyArns", List(&Text)),
    followed("PermissionsBoundary", Text),
    followed("MaxSessionDuration", Integer),
    unnoticed("Description"),
    unnoticed("Tags"),
]);

const MANAGED_POLICY: Shape = Members(&[
    followed("ManagedPolicyName", Text),
    only("Path", &["/"]),
    needed("PolicyDocument", Json),
    followed("Groups", List(&Text)),
    followed("Roles", List(&Text)),
    followed("Users", List(&Text)),
    unnoticed("Description"),
]);

const LOG_GROUP: Shape = Members(&[
    followed("LogGroupName", Text),
    // Nothing here lives long enough to expire.
    unnoticed("RetentionInDays"),
    only("LogGroupClass", &["STANDARD"]),
    unnoticed("KmsKeyId"),
    unnoticed("DataProtectionPolicy"),
    unnoticed("Tags"),
]);
