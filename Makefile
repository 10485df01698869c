# The developer's commands. Each one is a script of infra/dev or one line.
SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help run demo connect cli test stranger stop clean lint docs build setup func services bench bench-peers bench-scale fuzz screenshots webhook k8s-render image-check azure-up production-deploy rollback

help: ## this list
	@echo 'usage: make TARGET [PORT=7071] [FILTER=expression]'
	@echo
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  %-18s %s\n", $$1, $$2 }'

run: ## start everything on http://127.0.0.1:7071 (PORT=...); Ctrl-C stops it; TELEMETRY=1 writes traces down
	@exec infra/dev/run.sh

demo: ## walk the whole flow against a running make run, printing each step
	@exec infra/dev/demo.sh

connect: ## your API: OPENAPI=file-or-url UPSTREAM=http://127.0.0.1:5000 [GPT=g-ID] [PLAN=1]; ARGS=--help lists more
	@OPENAPI="$(OPENAPI)" UPSTREAM="$(UPSTREAM)" GPT="$(GPT)" PLAN="$(PLAN)" exec infra/dev/connect.sh $(ARGS)

cli: ## a command of the application beside make run: ARGS="clients list"; ARGS=--help lists them
	@exec infra/dev/cli.sh $(ARGS)

webhook: ## sign an event and post it to a running make run: TYPE=user.deleted USER=user_123
	@exec infra/dev/webhook.sh "$(TYPE)" $(if $(filter command,$(firstword $(origin USER))),"$(USER)")

test: ## run all tests with their own services; FILTER=... for some of them
	@exec infra/dev/test.sh

stranger: ## a stranger's ten minutes, timed: a clone, make run, an API connected, an action and a tool called
	@rm -f .local/stranger.txt
	@STRANGER=clone FILTER=FullyQualifiedName~ReadmeStepsTests.Stranger infra/dev/test.sh && cat .local/stranger.txt

fuzz: ## 100,000 random requests at every route (REQUESTS=...); SEED=... repeats a run or a part of it
	@FUZZ_REQUESTS="$(or $(REQUESTS),100000)" FUZZ_SEED="$(SEED)" FILTER=FullyQualifiedName~FuzzTests exec infra/dev/test.sh

services: ## PostgreSQL and RabbitMQ for make run and for the tests; they stay up until make stop
	@infra/dev/services.sh up --name dev >/dev/null && infra/dev/services.sh up --name test >/dev/null

stop: ## stop make run of this checkout, and all its services
	@exec infra/dev/run.sh stop

clean: ## stop everything, remove .local (data included) and the build output
	@exec infra/dev/clean.sh

docs: ## write the tables of docs/settings.md and the chart of the README anew
	@infra/load/chart.sh
	@WRITE_DOCS=true dotnet test GptFunctions.Tests --nologo -v q --filter FullyQualifiedName~DocumentationTests.Table

lint: ## formatting of the C# code, shellcheck of the scripts
	@exec infra/dev/lint.sh

build: ## build the solution
	@dotnet build Functions.sln --nologo

setup: ## bring the services, build, run the application's setup
	@exec infra/dev/run.sh setup

func: ## start under Azure Functions Core Tools instead of the standalone host
	@exec infra/dev/func.sh

# Under the Functions host: what its host has a share in.
bench: ## how fast it is, beside peers in the same run; writes infra/load/RESULTS.md; HOST=func under Core Tools
	@for what in $(if $(filter func,$(HOST)),refresh webhooks gateway mcp,refresh relay webhooks purge gateway mcp fair telemetry coldstart); do \
	  HOST="$(HOST)" infra/load/$$what.sh --save || exit; done

bench-peers: ## refreshes and webhooks beside node-oidc-provider and a Node receiver with svix, from npm; draws the README's chart
	@infra/load/peers.sh --save

bench-scale: ## the same after years of use: 10 million sessions, 100 million audit rows, beside 100,000; SCALE=0.01 for a look
	@infra/load/scale.sh --scale $(or $(SCALE),1) $(if $(SCALE),,--save) $(ARGS)

screenshots: ## pictures of the pages
	@exec infra/dev/screenshots.sh

k8s-render: ## what a deployment would apply, into .local/k8s
	@exec infra/k8s/render.sh

image-check: ## build the image with stand-in base images, look into it and start it; minutes, as root
	@exec infra/container/check.sh $(ARGS)

azure-up: ## an environment on Azure, from nothing: [ENVIRONMENT=production] [PLAN=1] [IMAGE=...]; names in infra/deploy/azure.conf
	@exec infra/deploy/azure-up.sh --environment "$(or $(ENVIRONMENT),production)" $(if $(PLAN),--plan) $(if $(IMAGE),--image "$(IMAGE)")

production-deploy: ## bring an image to production: IMAGE=REGISTRY/gpt-functions@sha256:... (KUBE_CONTEXT=...)
	@exec infra/deploy/deploy.sh --environment production --image "$(IMAGE)"

rollback: ## bring back what ran before: [ENVIRONMENT=production] (KUBE_CONTEXT=...)
	@exec infra/deploy/rollback.sh --environment "$(or $(ENVIRONMENT),production)"
