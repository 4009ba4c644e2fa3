# The developer's commands; make help lists them. Tools, programs and state are
# below .local, the deployed programs in dist. A target whose sources have not
# changed is not built again.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help count dist deploy diff staged FORCE run stop reset token key org publish show trace calls watch logs canary letters redrive inspect replay test test-unit simulate fuzz test-launcher test-store test-stories test-iam test-contract schemathesis crash fair bench cost rehearse-restore test-dynamodb-local lint lint-api lint-infra fmt generate fixture build check
.PHONY: console lint-console test-console

PYTHON ?= python3
tool   := go tool -modfile=.ci/tools/go.mod
local  := .local/bin/local
operate := .local/bin/operate
lint-api := $(CURDIR)/.local/lint-api/node_modules/.bin
say    := @printf '\n-- %s\n'
step   := @localstack/local/step.sh
host   := env -u GOOS -u GOARCH # builds for this machine, not for the functions' target

# Programs, tests and linters have the same build flags, those of the functions, so
# that each dependency is compiled once.
export GOFLAGS := $(sort -trimpath -tags=lambda.norpc $(GOFLAGS))
export CGO_ENABLED := 0

# $(call given,NAME,otherwise) is the value of NAME=… on make's command line. It
# ignores the environment, in which USER is always set.
given = $(if $(filter command,$(firstword $(origin $(1)))),'$($(1))',$(2))

# The flags for the stack to operate and for JSON output.
where = -stack $(call given,STACK,'') $(if $(call given,JSON),-json)

# Folders are among the sources so that deleting a file counts as a change.
sources := go.mod go.sum $(shell find events functions infra localstack shared \
	! -name '*_test.go' ! -path '*/testdata*' ! -name __pycache__ \
	! -path 'shared/console/web*' ! -path 'localstack/stories/browser*' 2>/dev/null)

# The sources of the console's pages, of which Go knows nothing.
web := shared/console/web
pages := $(shell find $(web) -type f ! -name '*.gen.*' ! -name '*.test.ts' 2>/dev/null)

# The linters run all checks of go vet. Without its table of symbols a test's program is
# linked in half the time; a panic names its functions and lines all the same.
test := go test -vet=off -ldflags=-s

# The race detector runs in the rooms whose code or tests start a goroutine. In the
# others it would find nothing, make exhaustive tests five times slower, and compile the
# clients of AWS once more. The stories, the crash test and the measurement talk to other
# processes; the store's tests need an emulator, and test-store runs them; edge starts its
# only goroutine in main, and wire one, which reads a secret once.
concurrent := $(filter-out localstack/stories localstack/crash localstack/bench localstack/edge shared/dynamo shared/wire,$(shell \
	grep -rlE --include=*.go '\bgo func|\.Go\b|^[[:space:]]+go [a-z]' events functions localstack shared | xargs -n1 dirname | sort -u))
# The race detector needs cgo and a C compiler.
race := $(if $(shell command -v cc),-race)

# A comment with three # is the title of the group of targets below it.
help: ## list the targets
	@awk -F ':.*## ' '/^### / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nlocalstack/README.md explains them by example.\n'

### The system on this machine

run: check build ## start the local cloud, deploy the system and show a first run [PORT=4566 PRODUCTS_PORT=4580 CONSOLE_PORT=4590]
	@rm -rf .local/console/site # of a make console that was killed
	@$(local) up $(if $(call given,PORT),-port $(call given,PORT)) $(if $(call given,PRODUCTS_PORT),-products-port $(call given,PRODUCTS_PORT)) \
		$(if $(call given,CONSOLE_PORT),-console-port $(call given,CONSOLE_PORT))

console: .local/web/installed ## rebuild the console's pages whenever a source is saved; the console of make run serves them until Ctrl-C
	@node $(web)/build.mjs --watch .local/console/site

stop: $(local) ## stop the local cloud; the next make run continues with its data
	@$(local) stop

reset: $(local) ## stop the local cloud and delete its data
	@$(local) reset

### Use it

token: $(local) ## print a session token [ORG=org_demo USER=user_demo ROLE=owner TTL=3600 FORM=session]
	@$(local) token -org $(call given,ORG,org_demo) -user $(call given,USER,user_demo) -role $(call given,ROLE,owner) \
		-ttl $(call given,TTL,3600) -form $(call given,FORM,session)

key: $(local) ## create an integration key and print it [ORG=org_demo ACCESS=read_write NAME=…]
	@$(local) key -org $(call given,ORG,org_demo) -access $(call given,ACCESS,read_write) -name $(call given,NAME,'make key')

org: $(local) ## create an organization, or change its plan: ORG=org_acme [PLAN=growth]
	@$(local) org -org $(call given,ORG,'') -plan $(call given,PLAN,growth)

publish: $(local) ## publish an event: EVENT=psa:ticket.created, or FILE=my.json [EVENT=… ORG=org_demo ANYWAY=1]
	@$(local) publish -file $(call given,FILE,'') -org $(call given,ORG,'') -event $(call given,EVENT,'') $(if $(call given,ANYWAY),-anyway)

show: $(local) ## print the newest run, or RUN=exec_… [ORG=org_demo]
	@$(local) show -org $(call given,ORG,org_demo) -run $(call given,RUN,'')

trace: $(local) ## print the spans of the newest run's trace as a tree, or of RUN=exec_… [ORG=org_demo JSON=1]
	@$(local) trace -org $(call given,ORG,org_demo) -run $(call given,RUN,'') $(if $(call given,JSON),-json)

calls: $(local) ## list the calls to products, webhooks, chat, SMS and e-mail [ORG=… KIND=action JSON=1]
	@$(local) calls -org $(call given,ORG,'') -kind $(call given,KIND,'') $(if $(call given,JSON),-json)

watch: $(local) ## list these calls, then new ones as they arrive [ORG=… KIND=…]
	@$(local) calls -follow -org $(call given,ORG,'') -kind $(call given,KIND,'')

logs: $(local) ## print the logs of the functions [FUNCTION=runner FIND=exec_… SINCE=10m]
	@$(local) logs -function $(call given,FUNCTION,'') -find $(call given,FIND,'') -since $(call given,SINCE,10m)

canary: $(local) ## follow runs of the platform's own, one a minute, and say how long they took [MINUTES=4]
	@$(local) canary -minutes $(call given,MINUTES,4)

### Operate it, here or on AWS

letters: $(operate) ## list dead letters [REASON=failed ORG=… JSON=1 STACK=…]
	@$(operate) letters $(where) -reason $(call given,REASON,'') -org $(call given,ORG,'')

redrive: $(operate) ## put the events of dead letters back on the bus [REASON=failed ORG=… EVENT=evt_… FORCE=1 DRY=1 ALL=1 STACK=…]
	@$(operate) redrive $(where) -reason $(call given,REASON,'') -org $(call given,ORG,'') -id $(call given,EVENT,'') \
		$(if $(call given,FORCE),-force) $(if $(call given,DRY),-dry-run) $(if $(call given,ALL),-all)

inspect: $(operate) ## show a run as the platform stores it: record, lease, steps, machine: RUN=exec_… [ORG=org_demo JSON=1 STACK=…]
	@$(operate) run $(where) -org $(call given,ORG,org_demo) $(call given,RUN,'')

replay: $(operate) ## replay events from the archives: FROM=2026-03-09T14:00:00Z TO=… [ORG=… EVENT=psa:ticket.created NAME=… STACK=…]
	@$(operate) replay $(where) -from $(call given,FROM,'') -to $(call given,TO,'') -org $(call given,ORG,'') \
		-type $(call given,EVENT,'') -name $(call given,NAME,'')

### Deploy it to AWS

# The settings of the stack, for the cdk command: a stage, and what CONTEXT has.
cdk := .local/tools/node_modules/.bin/cdk
settings = --context stage=$(call given,STAGE) \
	$(if $(call given,ARCH),--context architecture=$(if $(filter amd64,$(ARCH)),x86_64,$(ARCH))) $(CONTEXT)

dist: .local/functions/built dist/console/site dist/docs/site dist/infra ## build the functions for AWS [ARCH=arm64|amd64]

deploy: staged dist .local/tools/installed ## deploy a stage to AWS: STAGE=dev [ARCH=arm64 CONTEXT='-c emailSender=…' FIRST=1 YES=1]
	CDK_DISABLE_CLI_TELEMETRY=true $(cdk) deploy $(settings) $(if $(call given,FIRST),--context protect=false) \
		--require-approval $(if $(call given,YES),never,broadening) --outputs-file .local/aws-$(STAGE).json

diff: staged dist .local/tools/installed ## show what make deploy would change: STAGE=dev [ARCH=arm64 CONTEXT=…]
	CDK_DISABLE_CLI_TELEMETRY=true $(cdk) diff $(settings)

staged:
	$(if $(call given,STAGE),,$(error Which stage? Type make $(firstword $(MAKECMDGOALS)) STAGE=dev))

### Check it

# The longest phases come first, so that both processors are busy until the end.
phases := test-unit test-stories lint simulate test-console test-contract fuzz test-store test-dynamodb-local lint-api lint-infra lint-console test-launcher

test: check ## run all checks, three at a time, and print a table of their seconds [JOBS=3]
	@JOBS=$(call given,JOBS,3) .ci/phases build -- $(phases)

test-unit: ## run the unit tests, which need no emulator
	$(say) "unit tests"
	$(test) $$(go list ./... | grep -vxF "$$(printf 'theoneagents.app/agents/%s\n' $(concurrent))")
	$(if $(race),CGO_ENABLED=1) $(test) -timeout 20m $(race) $(concurrent:%=./%)

simulate: ## simulate faults in virtual time, search all orders, and print a report [SEEDS=500 FIRST=1 TROUBLE=1]
	$(say) "simulation"
	@mkdir -p .local && rm -f .local/simulation.txt
	$(test) -timeout 0 -count=1 ./shared/simulation -args -figures $(CURDIR)/.local/simulation.txt \
		-seeds $(call given,SEEDS,500) -first $(call given,FIRST,1) -trouble $(call given,TROUBLE,1)
	@cat .local/simulation.txt

# The limit is a number of tries because Go before 1.27, on a busy machine, may
# report the end of a time limit as a finding: "context deadline exceeded"
# (go.dev/issue/75804). go test -fuzz would instrument all dependencies, and so
# compile AWS's and OpenAI's clients once more. Here our code is instrumented, and
# the parsers that read its input.
instrument := $(foreach code,theoneagents.app/agents github.com/go-json-experiment/json github.com/golang-jwt/jwt \
	github.com/go-jose/go-jose github.com/santhosh-tekuri/jsonschema golang.org/x/net/html,-gcflags='$(code)/...=-d=libfuzzer')

fuzz: ## run every fuzz test; findings are kept in testdata/fuzz [TRIES=10000]
	$(say) "fuzz tests"
	@set -e; mkdir -p .local/fuzz; packages=$$(grep -rl --include='*_test.go' '^func Fuzz' shared | xargs -n1 dirname | sort -u); \
	$(test) -c -o .local/fuzz/ $(instrument) $$(printf './%s ' $$packages); \
	for package in $$packages; do \
		run=$(CURDIR)/.local/fuzz/$$(basename $$package).test; \
		for name in $$($$run -test.list '^Fuzz'); do \
			out=$$(cd $$package && $$run -test.run='^$$' -test.fuzz="^$$name$$" -test.fuzztime=$(call given,TRIES,10000)x \
				-test.fuzzminimizetime=10x -test.fuzzcachedir=$(CURDIR)/.local/fuzz/corpus/$$package 2>&1) || \
				{ printf '%s\n' "$$out"; exit 1; }; \
			printf '%-20s %-18s %s\n' $$package $$name "$$(printf '%s\n' "$$out" | sed -n 's/.*execs: \([0-9]*\) .*/\1 tries/p' | tail -n 1)"; \
		done; \
	done

test-launcher: .local/venv/installed ## run the tests of the emulator's launcher
	$(say) "launcher tests"
	.local/venv/bin/python -B -m unittest discover -s localstack/launcher

test-store: build ## run the store's tests on an emulator of their own, without the system
	$(say) "store"
	$(local) with -bare -state .local/test/store -- $(test) -count=1 -timeout 20m ./shared/dynamo/... ./shared/releases

test-stories: build .local/bin/crash ## run the stories and a short crash test on an emulator of their own
	$(say) "stories"
	$(local) with -state .local/test/stories -- sh -c '$(test) -count=1 -timeout 20m ./localstack/stories/... && \
		printf "\n-- crash\n" && .local/bin/crash -events 60 -rate 8 -hurry -outage 15s'

test-iam: test-stories ## run the stories; on the local cloud each call of a function needs the permission of its role

clients := .local/clients-python/installed .local/clients-typescript/installed

test-contract: build .local/schemathesis/installed $(clients) ## check that the deployed API keeps its OpenAPI document, with generated clients and schemathesis, on an emulator of its own
	$(say) "API contract"
	$(local) with -state .local/test/contract -- sh -c 'localstack/clients/test.sh && \
		.local/schemathesis/bin/python -B localstack/hostile/contract.py --short --examples 3'

schemathesis: .local/schemathesis/installed ## check the API of make run against its OpenAPI document [EXAMPLES=50 SEED=…]
	@.local/schemathesis/bin/python -B localstack/hostile/contract.py --examples $(call given,EXAMPLES,50) $(if $(call given,SEED),--seed $(call given,SEED))

crash: .local/bin/crash ## kill functions and fail calls of make run while events flow, then audit all records [EVENTS=1000 RATE=5 SEED=… OUTAGE=10m]
	@.local/bin/crash -events $(call given,EVENTS,1000) -rate $(call given,RATE,5) -seed $(call given,SEED,0) -outage $(call given,OUTAGE,0s)

fair: build .local/bin/fair ## measure the delay of a quiet organization behind a burst of another, on an emulator of its own [EVENTS=10000 SAMPLES=200]
	$(say) "fairness"
	$(local) with -state .local/test/fair -- .local/bin/fair -burst $(call given,EVENTS,10000) -samples $(call given,SAMPLES,200)

bench: .local/bin/bench ## measure make run: latency, throughput, decisions, calls, processor time, memory [LIMIT=2m README=1]
	@.local/bin/bench -limit $(call given,LIMIT,2m) $(if $(call given,README),-readme README.md)

cost: $(if $(call given,COUNT),count) ## print what a million runs cost on AWS, from counted usage [COUNT=1 counts it anew, on an emulator of its own]
	@go run -buildvcs=false ./localstack/cost

count: build
	$(say) "counting the usage"
	$(local) with -state .local/test/count -- env COUNT=$(CURDIR)/localstack/cost/bill/usage.json \
		$(test) -count=1 -run TestTheUsageIsThatOfTheBill ./localstack/stories
	UPDATE=1 $(test) -count=1 ./localstack/cost

rehearse-restore: build ## rehearse the procedure "Restore" of infra/README.md on an emulator of its own, and print its minutes
	$(say) "restore"
	$(local) with -state .local/test/restore -- sh -c 'REHEARSE=restore $(test) -count=1 -v -run TestTheRestoreProcedure ./localstack/stories/...'

test-dynamodb-local: ## run the store's tests on DynamoDB Local (needs Java 17 and Maven)
	$(say) "store on DynamoDB Local"
	@$(PYTHON) -B localstack/dynamodb-local/beside.py $(test) -count=1 -timeout 20m ./shared/dynamo/... ./shared/releases

test-console: build .local/web/installed ## run the stories of the console in a browser, on an emulator of their own (needs Chromium) [STORY=…]
	$(say) "console"
	@localstack/stories/browser/run.sh $(call given,STORY,)

### Change it

lint: ## run the linters
	$(say) "style"
	$(tool) golangci-lint run

lint-api: .local/lint-api/installed ## check the OpenAPI document with Spectral and Redocly; a warning is a failure
	$(say) "API document"
	@cd .ci/openapi && $(lint-api)/spectral lint --fail-severity hint --ruleset spectral.yaml $(CURDIR)/shared/httpapi/openapi.gen.json
	$(step) "Redocly" env REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
		$(lint-api)/redocly lint --config .ci/openapi/redocly.yaml shared/httpapi/openapi.gen.json

lint-console: .local/web/installed $(web)/src/api.gen.d.ts ## check types, style and rules of the console's pages
	$(say) "console's pages"
	@node_modules/.bin/tsc --project $(web)
	@node_modules/.bin/biome check --config-path=.ci/console --error-on-warnings $(web) localstack/stories/browser
	@node $(web)/build.mjs --test .local/web/tests && node --test .local/web/tests/*.mjs

lint-infra: .local/tools/installed .local/lint-infra/installed .local/functions/built dist/console/site dist/docs/site dist/infra ## check the template with cfn-lint and the state machines with an ASL validator
	$(say) "CloudFormation template"
	@CDK_DISABLE_CLI_TELEMETRY=true AWS_REGION=us-east-1 $(cdk) synth --quiet --context stage=lint --context canary=true --context programs=host --output .local/lint-infra/out
	@.local/lint-infra/venv/bin/cfn-lint --config-file .ci/aws/cfnlint.yaml --template .local/lint-infra/out/OneAgents.template.json
	@node .local/lint-infra/machines.mjs .local/lint-infra/out/OneAgents.template.json

fmt: .local/web/installed ## format the code
	$(tool) golangci-lint fmt
	node_modules/.bin/biome check --config-path=.ci/console --write $(web) localstack/stories/browser

generate: ## regenerate the generated code
	go generate ./...

fixture: build ## record what this release stores, for the tests of later ones: RELEASE=0.2.0
	$(if $(call given,RELEASE),,$(error Which release? Type make fixture RELEASE=0.2.0))
	$(local) with -state .local/test/fixture -- env RECORD=$(CURDIR)/shared/releases/testdata/$(RELEASE) \
		$(test) -count=1 -run TestRecordTheRelease ./localstack/stories

build: .local/venv/installed .local/tools/installed .local/functions/built dist/console/site dist/docs/site dist/infra $(local) $(operate) .local/bin/products .local/bin/edge ## install the tools and build the programs

check:
	@PYTHON=$(PYTHON) localstack/local/tools.sh

.local/venv/installed: localstack/requirements.txt
	$(step) "Installing the emulator" sh -c '[ $@ -nt $< ] || { rm -rf $(@D) && \
		$(PYTHON) -m venv $(@D) && \
		$(@D)/bin/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r $< && touch $@; }'

.local/schemathesis/installed: localstack/hostile/requirements.txt
	$(step) "Installing schemathesis" sh -c '[ $@ -nt $< ] || { rm -rf $(@D) && \
		$(PYTHON) -m venv $(@D) && \
		$(@D)/bin/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r $< && touch $@; }'

.local/clients-python/installed: localstack/clients/python/requirements.txt
	@rm -rf $(@D)
	$(step) "Installing the Python client's generator" sh -c '$(PYTHON) -m venv $(@D) && \
		$(@D)/bin/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r $<'
	@touch $@

.local/clients-typescript/installed: localstack/clients/typescript/package.json localstack/clients/typescript/package-lock.json
	@mkdir -p $(@D) && cp $^ $(@D)
	$(step) "Installing the TypeScript client's generator" npm --prefix $(@D) ci --ignore-scripts --no-audit --no-fund
	@touch $@

.local/lint-api/installed: .ci/openapi/package.json .ci/openapi/package-lock.json
	@mkdir -p $(@D) && cp $^ $(@D)
	$(step) "Installing Spectral and Redocly" npm --prefix $(@D) ci --ignore-scripts --no-audit --no-fund
	@touch $@

.local/lint-infra/installed: .ci/aws/package.json .ci/aws/package-lock.json .ci/aws/machines.mjs .ci/aws/requirements.txt
	@rm -rf $(@D) && mkdir -p $(@D) && cp $(filter %.json %.mjs,$^) $(@D)
	$(step) "Installing cfn-lint and asl-validator" sh -c 'npm --prefix $(@D) ci --ignore-scripts --no-audit --no-fund && \
		$(PYTHON) -m venv $(@D)/venv && \
		$(@D)/venv/bin/python -m pip install --disable-pip-version-check --no-deps --require-hashes -r $(lastword $^)'
	@touch $@

# Packages are found from the sources by a link in the project's folder.
.local/web/installed: $(web)/package.json $(web)/package-lock.json
	@mkdir -p $(@D)
	@cmp -s $(web)/package-lock.json $(@D)/package-lock.json && [ -e $@ ] || { rm -rf $@ && cp $^ $(@D) && \
		localstack/local/step.sh "Installing the console's packages" npm --prefix $(@D) ci --ignore-scripts --no-audit --no-fund --prefer-offline; }
	@ln -sfn .local/web/node_modules node_modules
	@touch $@

# The types of the API come from its document.
$(web)/src/api.gen.d.ts: shared/httpapi/openapi.yaml .local/web/installed
	@REDOCLY_TELEMETRY=off node_modules/.bin/openapi-typescript $< --output $@ >/dev/null
	@touch $@

dist/console/site: $(pages) .local/web/installed
	$(step) "Building the console's pages" node $(web)/build.mjs $@
	@touch $@

.local/docs/installed: shared/docs/packages/package.json shared/docs/packages/package-lock.json
	@mkdir -p $(@D) && cp $^ $(@D)
	$(step) "Installing the documentation's packages" npm --prefix $(@D) ci --ignore-scripts --no-audit --no-fund
	@touch $@

# The pages of the documentation, beside the function that serves them.
dist/docs/site: .local/compiled .local/docs/installed
	$(step) "Building the documentation" $(host) go run -buildvcs=false ./shared/docs/build -packages .local/docs/node_modules -out $@
	@touch $@

.local/tools/installed: localstack/tools/package.json localstack/tools/package-lock.json
	$(step) "Installing CDK" sh -c '[ $@ -nt $< ] && [ $@ -nt $(lastword $^) ] || { mkdir -p $(@D) && cp $^ $(@D) && \
		npm --prefix $(@D) ci --no-audit --no-fund && touch $@; }'

# One command compiles for all programs: both processors are busy until its end.
.local/compiled: $(sources)
	@mkdir -p $(@D)
	$(step) "Compiling (four minutes the first time)" go build -buildvcs=false ./functions/... ./infra ./localstack/...
	@touch $@

# The functions are built for this machine, where the local cloud runs them, or for
# linux/ARCH, where AWS does. Without ARCH that is the architecture of cdk.json.
platform = $(shell go env GOHOSTOS GOHOSTARCH | paste -sd/ -)
dist deploy diff: platform = linux/$(or $(ARCH),$(shell sed -n 's/.*"architecture": *"x86_64".*/amd64/p' cdk.json),arm64)

# The file changes when the functions are to be built for another platform.
.local/functions/platform: FORCE
	@mkdir -p $(@D)
	@case $(platform) in */amd64|*/arm64) ;; *) echo "ARCH is arm64 or amd64, not $(ARCH)" >&2; exit 1;; esac
	@echo $(platform) | cmp -s - $@ || echo $(platform) >$@

FORCE:

# An unchanged program keeps its file, so that it is not deployed again.
.local/functions/built: .local/compiled .local/functions/platform
	@mkdir -p $(@D)
	$(step) "Building the functions for $(platform)" env GOOS=$(firstword $(subst /, ,$(platform))) \
		GOARCH=$(lastword $(subst /, ,$(platform))) go build -buildvcs=false \
		-ldflags='-s -w' -o $(@D)/ ./functions/...
	@for main in functions/*/main.go; do \
		name=$$(basename $$(dirname $$main)); mkdir -p dist/$$name; \
		cmp -s $(@D)/$$name dist/$$name/bootstrap || cp $(@D)/$$name dist/$$name/bootstrap; \
	done
	@touch $@

dist/infra: .local/compiled
	@mkdir -p dist
	$(step) "Building the CDK app" $(host) go build -buildvcs=false -o $@ ./infra
	@touch $@

.local/bin/%: .local/compiled
	@mkdir -p $(@D)
	$(step) "Building $*" $(host) go build -buildvcs=false -o $@ ./localstack/$*
	@touch $@
