# Everything that a developer types; make help lists it. Tools, programs and
# state are below .local, what is deployed is in dist, and nothing is done again
# that is as it was.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run stop reset token key org publish show calls watch logs letters redrive inspect replay test test-unit simulate fuzz test-launcher test-stories test-contract test-clients schemathesis crash test-dynamodb-local lint lint-api fmt generate build check

PYTHON ?= python3
tool   := go tool -modfile=.ci/tools/go.mod
local  := .local/bin/local
operate := .local/bin/operate
lint-api := $(CURDIR)/.local/lint-api/node_modules/.bin
say    := @printf '\n-- %s\n'
step   := @localstack/local/step.sh
host   := env -u GOOS -u GOARCH # what runs here, whatever the functions are built for

# $(call given,NAME,otherwise) is what was given to make as NAME=…; the
# environment does not count, since everyone has a USER there.
given = $(if $(filter command,$(firstword $(origin $(1)))),'$($(1))',$(2))

# Which system is operated, and how the program answers.
where = -stack $(call given,STACK,'') $(if $(call given,JSON),-json)

# Folders are among the sources so that a file that goes is a change too.
sources := go.mod go.sum $(shell find events functions infra localstack shared \
	! -name '*_test.go' ! -path '*/testdata*' ! -name __pycache__ 2>/dev/null)

# The race detector needs a C compiler.
race := $(if $(shell command -v cc),-race)

# The targets of a group stand below its title, a comment with three #.
help: ## list the targets
	@awk -F ':.*## ' '/^### / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nlocalstack/README.md shows a first day with them.\n'

### The system on this machine

run: check build ## start everything, deploy it, and show a first run [PORT=4566 PRODUCTS_PORT=4580]
	@$(local) up $(if $(call given,PORT),-port $(call given,PORT)) $(if $(call given,PRODUCTS_PORT),-products-port $(call given,PRODUCTS_PORT))

stop: $(local) ## end what make run started; the data stays, and make run goes on with it
	@$(local) stop

reset: $(local) ## end it and forget the data
	@$(local) reset

### Use it

token: $(local) ## print a session [ORG=org_demo USER=user_demo ROLE=owner TTL=3600 FORM=session]
	@$(local) token -org $(call given,ORG,org_demo) -user $(call given,USER,user_demo) -role $(call given,ROLE,owner) \
		-ttl $(call given,TTL,3600) -form $(call given,FORM,session)

key: $(local) ## print a new integration key [ORG=org_demo ACCESS=read_write NAME=…]
	@$(local) key -org $(call given,ORG,org_demo) -access $(call given,ACCESS,read_write) -name $(call given,NAME,'make key')

org: $(local) ## make an organization known, or change its plan: ORG=org_acme [PLAN=growth]
	@$(local) org -org $(call given,ORG,'') -plan $(call given,PLAN,growth)

publish: $(local) ## put an event on the bus: EVENT=psa:ticket.created, or FILE=my.json [EVENT=… ORG=org_demo ANYWAY=1]
	@$(local) publish -file $(call given,FILE,'') -org $(call given,ORG,'') -event $(call given,EVENT,'') $(if $(call given,ANYWAY),-anyway)

show: $(local) ## print the newest run, or RUN=exec_… [ORG=org_demo]
	@$(local) show -org $(call given,ORG,org_demo) -run $(call given,RUN,'')

calls: $(local) ## list what reached the products, chat, SMS and e-mail [ORG=… KIND=action JSON=1]
	@$(local) calls -org $(call given,ORG,'') -kind $(call given,KIND,'') $(if $(call given,JSON),-json)

watch: $(local) ## the same, and go on with what comes [ORG=… KIND=…]
	@$(local) calls -follow -org $(call given,ORG,'') -kind $(call given,KIND,'')

logs: $(local) ## print what the functions said [FUNCTION=runner FIND=exec_… SINCE=10m]
	@$(local) logs -function $(call given,FUNCTION,'') -find $(call given,FIND,'') -since $(call given,SINCE,10m)

### Operate it, here or on AWS

letters: $(operate) ## list dead letters [REASON=failed ORG=… JSON=1 STACK=…]
	@$(operate) letters $(where) -reason $(call given,REASON,'') -org $(call given,ORG,'')

redrive: $(operate) ## put the events of dead letters back on the bus [REASON=failed ORG=… EVENT=evt_… FORCE=1 DRY=1 STACK=…]
	@$(operate) redrive $(where) -reason $(call given,REASON,'') -org $(call given,ORG,'') -id $(call given,EVENT,'') \
		$(if $(call given,FORCE),-force) $(if $(call given,DRY),-dry-run)

inspect: $(operate) ## show a run whole, with what the platform knows of it: RUN=exec_… [ORG=org_demo JSON=1 STACK=…]
	@$(operate) run $(where) -org $(call given,ORG,org_demo) $(call given,RUN,'')

replay: $(operate) ## replay events from the archive: FROM=2026-03-09T14:00:00Z TO=… [ORG=… EVENT=psa:ticket.created NAME=… STACK=…]
	@$(operate) replay $(where) -from $(call given,FROM,'') -to $(call given,TO,'') -org $(call given,ORG,'') \
		-type $(call given,EVENT,'') -name $(call given,NAME,'')

### Check it

test: check build lint lint-api test-unit simulate fuzz test-launcher test-stories test-contract test-clients ## check everything, the stories on an emulator of their own

test-unit: ## run the tests that need nothing else
	$(say) "unit tests"
	go test $(race) ./events/... ./functions/... ./localstack/... ./shared/...
	$(if $(race),go test -run TestEveryOrder ./shared/simulation)
	go test ./infra/...

simulate: ## let everything go wrong in virtual time, and say what was seen [SEEDS=500 FIRST=1 TROUBLE=1]
	$(say) "simulation"
	@mkdir -p .local && rm -f .local/simulation.txt
	go test -timeout 0 -count=1 -run 'TestEveryRunEnds|TestAnySingleFault' ./shared/simulation -args -figures $(CURDIR)/.local/simulation.txt \
		-seeds $(call given,SEEDS,500) -first $(call given,FIRST,1) -trouble $(call given,TROUBLE,1)
	@cat .local/simulation.txt

# A number of tries and not a time: when a time is over on a busy machine, Go
# before 1.27 may report "context deadline exceeded" for a finding (go.dev/issue/75804).
fuzz: ## let every fuzz test look for what nobody thought of, and keep it in testdata/fuzz [TRIES=10000]
	$(say) "fuzz tests"
	@set -e; for package in $$(grep -rl --include='*_test.go' '^func Fuzz' shared | xargs -n1 dirname | sort -u); do \
		for name in $$(go test -list '^Fuzz' ./$$package | grep '^Fuzz'); do \
			out=$$(go test -run='^$$' -fuzz="^$$name$$" -fuzztime=$(call given,TRIES,10000)x -fuzzminimizetime=10x ./$$package 2>&1) || \
				{ printf '%s\n' "$$out"; exit 1; }; \
			printf '%-20s %-18s %s\n' $$package $$name "$$(printf '%s\n' "$$out" | sed -n 's/.*execs: \([0-9]*\) .*/\1 tries/p' | tail -n 1)"; \
		done; \
	done

test-launcher: .local/venv/installed ## run the tests of the emulator's launcher
	$(say) "launcher tests"
	.local/venv/bin/python -B -m unittest discover -s localstack/launcher

test-stories: build .local/bin/crash ## run the store's suite, the stories and a short crash on an emulator of their own
	$(say) "stories"
	$(local) with -state .local/test -- sh -c 'go test -count=1 ./shared/dynamo/... ./localstack/stories/... && \
		printf "\n-- crash\n" && .local/bin/crash -events 60 -rate 8 -hurry'

test-contract: build .local/schemathesis/installed ## hold the deployed API against its document, briefly, on an emulator of its own
	$(say) "contract"
	$(local) with -state .local/test -- .local/schemathesis/bin/python -B localstack/hostile/contract.py --short --examples 3

clients := .local/clients-python/installed .local/clients-typescript/installed

test-clients: build $(clients) ## generate a Python and a TypeScript client, and play a story through each, on an emulator of their own
	$(say) "generated clients"
	$(local) with -state .local/test -- localstack/clients/test.sh

schemathesis: .local/schemathesis/installed ## the same against make run, as long as you like: EXAMPLES=200 [SEED=…]
	@.local/schemathesis/bin/python -B localstack/hostile/contract.py --examples $(call given,EXAMPLES,50) $(if $(call given,SEED),--seed $(call given,SEED))

crash: .local/bin/crash ## against make run: kill functions and fail calls while events pass, then audit [EVENTS=1000 RATE=5 SEED=…]
	@.local/bin/crash -events $(call given,EVENTS,1000) -rate $(call given,RATE,5) -seed $(call given,SEED,0)

test-dynamodb-local: ## run the store's suite on DynamoDB Local (needs Java 17 and Maven)
	$(say) "the store on DynamoDB Local"
	@$(PYTHON) -B localstack/dynamodb-local/beside.py go test -count=1 ./shared/dynamo/...

### Change it

lint: ## check the style
	$(say) "style"
	$(tool) golangci-lint run

lint-api: .local/lint-api/installed ## check the API document with Spectral and Redocly; a warning is a failure
	$(say) "API document"
	@cd .ci/openapi && $(lint-api)/spectral lint --fail-severity hint --ruleset spectral.yaml $(CURDIR)/shared/httpapi/openapi.gen.json
	$(step) "Redocly" env REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
		$(lint-api)/redocly lint --config .ci/openapi/redocly.yaml shared/httpapi/openapi.gen.json

fmt: ## format the code
	$(tool) golangci-lint fmt

generate: ## make the generated code again
	go generate ./...

build: .local/venv/installed .local/tools/installed .local/functions/built dist/infra $(local) $(operate) .local/bin/products ## install the tools and build the programs

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

.local/tools/installed: localstack/tools/package.json localstack/tools/package-lock.json
	$(step) "Installing CDK" sh -c '[ $@ -nt $< ] && [ $@ -nt $(lastword $^) ] || { mkdir -p $(@D) && cp $^ $(@D) && \
		npm --prefix $(@D) ci --no-audit --no-fund && touch $@; }'

# A program that is as it was keeps its file, so that it is not deployed again.
.local/functions/built: $(sources)
	@mkdir -p $(@D)
	$(step) "Building the functions" env CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags lambda.norpc \
		-ldflags='-s -w' -o $(@D)/ ./functions/...
	@for main in functions/*/main.go; do \
		name=$$(basename $$(dirname $$main)); mkdir -p dist/$$name; \
		cmp -s $(@D)/$$name dist/$$name/bootstrap || cp $(@D)/$$name dist/$$name/bootstrap; \
	done
	@touch $@

dist/infra: $(sources)
	@mkdir -p dist
	$(step) "Building the CDK app (two minutes the first time)" $(host) go build -buildvcs=false -o $@ ./infra
	@touch $@

.local/bin/%: $(sources)
	@mkdir -p $(@D)
	$(step) "Building $*" $(host) go build -buildvcs=false -o $@ ./localstack/$*
	@touch $@
