package boot

// The names of the environment variables that configure the functions. The CDK
// app sets them; the functions read them through Getenv.
const (
	EnvTable        = "TABLE_NAME"            // the DynamoDB table
	EnvBus          = "BUS_NAME"              // the bus for platform events
	EnvRuns         = "RUNS_MACHINE_ARN"      // the Express machine
	EnvDeadLetters  = "DEAD_LETTER_QUEUE_URL" // queue of rejected events, with their reason
	EnvEventQueues  = "EVENT_QUEUE_URLS"      // queues of raw messages, of events and of undelivered ones; comma separated
	EnvJWKS         = "HUB_JWKS_URL"          // the Hub's signing keys
	EnvIssuer       = "HUB_ISSUER"            // the iss of a session
	EnvAudience     = "HUB_AUDIENCE"          // the aud of a session
	EnvOrigins      = "ORIGINS"               // allowed origins of cookie writes, comma separated
	EnvProducts     = "PRODUCTS_URL"          // base URL of the products' action endpoints
	EnvAllowedHosts = "ALLOWED_HOSTS"         // host:port of private addresses that may be called, comma separated
	EnvProvider     = "MODEL_PROVIDER"        // "bedrock" or "openai"
	EnvModelURL     = "MODEL_ENDPOINT"        // base URL of the model API, when not the provider's own
	EnvModelKey     = "MODEL_KEY_SECRET"      // name of the secret: key of an OpenAI-compatible endpoint
	EnvModels       = "MODELS"                // {"quick": "<model id>", "standard": …, "premium": …, "expert": …}
	EnvConsole      = "CONSOLE_URL"           // base URL of the approval pages
	EnvHub          = "HUB_URL"               // base URL of the Hub, where people sign in
	EnvSender       = "EMAIL_SENDER"          // From address of e-mail
	EnvHookSecret   = "WEBHOOK_SECRET"        // name of the secret from which the signing secrets of webhooks are derived
	EnvCursorSecret = "CURSOR_SECRET"         // name of the secret that signs the cursors of lists
	EnvCallKey      = "CALL_KEY_SECRET"       // name of the secret: key that signs calls of products; see package callkey
	EnvCallIssuer   = "CALL_ISSUER"           // the iss of their tokens
	EnvMetrics      = "METRICS_NAMESPACE"     // CloudWatch namespace of the metrics of this stage
	EnvRateLimit    = "RATE_LIMIT"            // requests a minute of all keys of an organization
	EnvLogLevel     = "LOG_LEVEL"             // TRACE, DEBUG, INFO, WARN, ERROR or FATAL

	EnvUserRateLimit = "USER_RATE_LIMIT"             // requests a minute of a person
	EnvTraces        = "OTEL_EXPORTER_OTLP_ENDPOINT" // collector of traces; without it there are none
	EnvTracesRatio   = "OTEL_TRACES_SAMPLER_ARG"     // part of the traces that is recorded, from 0 to 1
	EnvTracesHeaders = "OTEL_HEADERS_SECRET"         // name of the secret: headers of the exports

	EnvWorker = "WORKER_FUNCTION_ARN" // the function that works on jobs

	EnvCanaryOrg  = "CANARY_ORG"      // the organization of the canary
	EnvCanaryRole = "CANARY_ROLE_ARN" // the publisher role of the canary's events

	// EnvNewRetries is read by AWS's SDK. With true it repeats a call of DynamoDB whose
	// connection broke after some 25 ms instead of up to a second, and three times
	// instead of twice.
	EnvNewRetries = "AWS_NEW_RETRIES_2026"

	// These are read by Go's runtime. A function has a part of one processor and 256 MB:
	// one thread that runs code, and a rarer garbage collection while there is memory.
	EnvProcessors  = "GOMAXPROCS"
	EnvCollection  = "GOGC"
	EnvMemoryLimit = "GOMEMLIMIT"

	EnvRetention        = "RETENTION_DAYS"     // for which a run is kept after its end
	EnvAddressRateLimit = "ADDRESS_RATE_LIMIT" // requests a minute of an address without a caller
)
