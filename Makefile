# `make try` runs the main job on this host, `make test` all stages of the tests. Both set up what they
# need on Debian 12 with a Rust toolchain.

BUILD_PACKAGES = gcc libc6-dev make pkg-config clang libelf-dev zlib1g-dev
TEST_PACKAGES = $(BUILD_PACKAGES) g++ clang-format binutils iproute2 nftables util-linux \
	procps tcpdump curl openssl dnsmasq-base qemu-system-x86 musl-tools busybox-static cpio \
	xz-utils zstd gzip ca-certificates systemd debootstrap rpm

# As root there may be no sudo, and as somebody else it is needed.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
CARGO ?= cargo

.PHONY: help try test setup-build setup-test check unit fuzz kernel vm systemd kernel-support cost

help:
	@echo 'make try     build, observe this host while it fetches package lists, print the report'
	@echo 'make test    every test: check unit fuzz kernel vm systemd'
	@echo 'make check   formats, lints, documentation'
	@echo 'make unit    tests without root'
	@echo 'make fuzz    decoders fed with hostile bytes, briefly'
	@echo 'make kernel  tests of the hooks that this kernel has (root)'
	@echo 'make vm      tests of all hooks on Debian kernels under QEMU'
	@echo 'make systemd tests of the service on a Debian system under QEMU (root)'
	@echo 'make kernel-support    run them on every kernel and write docs/kernel-support.md'
	@echo 'make cost    what the hooks cost, in instructions, beside other tools (an hour)'

setup-build:
	@packaging/need-packages $(BUILD_PACKAGES)

setup-test:
	@packaging/need-packages $(TEST_PACKAGES)

try: setup-build
	$(CARGO) build --release
	$(SUDO) packaging/try "$${CARGO_TARGET_DIR:-target}/release/egress-baseline"

test: check unit fuzz kernel vm systemd
	@echo 'all stages passed: check unit fuzz kernel vm systemd'

check: setup-test
	$(CARGO) fmt --check
	cd fuzz && $(CARGO) fmt --check
	clang-format --dry-run --Werror bpf/*.h bpf/*.c bpf/hooks/*.h
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy --test kernel -- -D warnings
	$(CARGO) clippy --test systemd -- -D warnings
	$(CARGO) clippy --test data -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --document-private-items

unit: setup-test
	$(CARGO) test

# For each target; fuzz/README.md says what they hold.
FUZZ_SECONDS ?= 5
fuzz: setup-test
	CARGO='$(CARGO)' FUZZ_SECONDS=$(FUZZ_SECONDS) fuzz/run

# Built as whoever runs make, run as root. What this kernel lacks is listed at the end of the output;
# what KERNEL_REQUIRE names must not be lacking.
KERNEL_REQUIRE ?= tcp,udp,ping,raw
HOST := $(shell $(CARGO) -vV | sed -n 's/^host: //p' | tr 'a-z-' 'A-Z_')
kernel: setup-test
	CARGO_TARGET_$(HOST)_RUNNER="$(SUDO) env EGRESS_BACKEND=cgroup \
		EGRESS_TEST_REQUIRE=$(KERNEL_REQUIRE)" $(CARGO) test --test kernel

# The kernel that most hosts have; `tests/vm/run 5.10` tries the one whose verifier knows least.
VM_KERNELS ?= 6.1
vm: setup-test
	$(CARGO) build --bins
	$(CARGO) test --test kernel --no-run
	EGRESS_VM_RUNS='fexit kprobe layouts' tests/vm/run $(VM_KERNELS)

# Root, because debootstrap is.
systemd: setup-test
	$(CARGO) build --bins
	$(CARGO) test --test systemd --no-run
	$(SUDO) tests/systemd/run

# The page says what these runs saw.
ALL_KERNELS = 5.10 6.1 6.12 7.3
kernel-support: setup-test
	$(CARGO) build --bins
	$(CARGO) test --test kernel --no-run
	EGRESS_VM_RUNS='fexit kprobe cgroup' EGRESS_VM_RESULTS=docs/kernel-support tests/vm/run $(ALL_KERNELS)
	EGRESS_WRITE_PAGE=1 $(CARGO) test --test it kernel_support

# What docs/performance.md shows, and nothing that passes or fails.
COST_ARMS = fexit kprobe cgroup tcpconnect bpftrace auditd-connect auditd-sendto
cost: setup-test
	$(CARGO) build --release --bins
	$(CARGO) bench --no-run --bench cost
	for kernel in 6.1 6.12; do \
		EGRESS_COST_PROFILE=yes benches/kernel/run $$kernel $(COST_ARMS) || exit; \
	done
