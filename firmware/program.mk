# Rules of a program. Before it is included: NAME (of the linker script, NAME.ld), IMAGE (what is made: NAME.img, a flat binary, or NAME.elf),
# SOURCES, HEADERS, OPTIONS (for the compiler), LINK (for the linker). `make check` (or ../check.sh) compares a rebuild with the committed file.

CROSS   ?= aarch64-linux-gnu-
OUT     ?= .
CFLAGS  := -std=gnu11 -mno-outline-atomics -mbranch-protection=none -ffreestanding -fno-builtin -fno-stack-protector \
           -fno-tree-loop-distribute-patterns -fno-asynchronous-unwind-tables -Wall -Wextra -Werror $(OPTIONS)
LDFLAGS := -nostdlib -Wl,-T,$(NAME).ld -Wl,--build-id=none -Wl,-z,norelro -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments \
           -Wl,--fatal-warnings $(LINK)

$(OUT)/$(IMAGE):

%.img: %.elf
	$(CROSS)objcopy -O binary $< $@

$(OUT)/$(NAME).elf: $(SOURCES) $(HEADERS) $(NAME).ld Makefile ../program.mk ../start.S
	$(CROSS)gcc $(CFLAGS) $(LDFLAGS) -o $@ $(SOURCES)

# The committed binary and the version of the compiler that made it.
release: $(OUT)/$(IMAGE)
	$(CROSS)gcc --version | head -n 1 > COMPILER

check:
	../check.sh

clean:
	rm -f $(OUT)/$(NAME).elf

.PHONY: release check clean
