#include "platform/elf.h"

#include <elf.h>
#include <errno.h>
#include <link.h> /* ElfW */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HEADERS_MAX 4096  /* of each kind that are looked at */
#define NAMES_MAX 0x10000 /* bytes of the names of sections */

#define OWN_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

/* False unless all of it is there. */
static bool read_at(int fd, uint64_t offset, void *memory, size_t size)
{
    if (offset > INT64_MAX - size)
        return false;
    for (size_t at = 0; at < size;) {
        long got = syscall(SYS_pread64, fd, (char *)memory + at, size - at, (off_t)(offset + at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

static void read_loader(int fd, const ElfW(Ehdr) * header, struct hqq_elf *elf)
{
    for (unsigned i = 0; i < header->e_phnum && i < HEADERS_MAX; i++) {
        ElfW(Phdr) program;
        if (!read_at(fd, header->e_phoff + (uint64_t)i * header->e_phentsize, &program, sizeof(program)))
            return;
        if (program.p_type != PT_INTERP || program.p_filesz == 0 || program.p_filesz >= sizeof(elf->loader))
            continue;
        if (read_at(fd, program.p_offset, elf->loader, program.p_filesz))
            elf->loader[program.p_filesz] = '\0';
        else
            elf->loader[0] = '\0';
        return;
    }
}

/* Where in the file an address of the program is; 0 if nowhere. */
static uint64_t offset_of(int fd, const ElfW(Ehdr) * header, uint64_t address)
{
    for (unsigned i = 0; i < header->e_phnum && i < HEADERS_MAX; i++) {
        ElfW(Phdr) program;
        if (!read_at(fd, header->e_phoff + (uint64_t)i * header->e_phentsize, &program, sizeof(program)))
            return 0;
        if (program.p_type == PT_LOAD && address >= program.p_vaddr && address - program.p_vaddr < program.p_filesz)
            return program.p_offset + (address - program.p_vaddr);
    }
    return 0;
}

/* The segment that names the libraries which are needed. */
static bool find_dynamic(int fd, const ElfW(Ehdr) * header, ElfW(Phdr) * ret_dynamic)
{
    for (unsigned i = 0; i < header->e_phnum && i < HEADERS_MAX; i++) {
        if (!read_at(fd, header->e_phoff + (uint64_t)i * header->e_phentsize, ret_dynamic, sizeof(*ret_dynamic)))
            return false;
        if (ret_dynamic->p_type == PT_DYNAMIC)
            return true;
    }
    return false;
}

static bool needs_library(int fd, const ElfW(Ehdr) * header, const char *prefix)
{
    ElfW(Phdr) dynamic;
    ElfW(Dyn) entry;
    uint64_t names = 0;
    char name[32];
    size_t length = strlen(prefix);
    if (!find_dynamic(fd, header, &dynamic))
        return false;
    unsigned count = dynamic.p_filesz / sizeof(entry) < HEADERS_MAX ? (unsigned)(dynamic.p_filesz / sizeof(entry)) : 0;
    for (unsigned i = 0; i < count && names == 0; i++) {
        if (!read_at(fd, dynamic.p_offset + (uint64_t)i * sizeof(entry), &entry, sizeof(entry)) ||
            entry.d_tag == DT_NULL)
            return false;
        if (entry.d_tag == DT_STRTAB)
            names = offset_of(fd, header, entry.d_un.d_ptr);
    }
    for (unsigned i = 0; i < count && names != 0 && names < INT64_MAX / 2; i++) {
        if (!read_at(fd, dynamic.p_offset + (uint64_t)i * sizeof(entry), &entry, sizeof(entry)) ||
            entry.d_tag == DT_NULL)
            return false;
        if (entry.d_tag == DT_NEEDED && entry.d_un.d_val < INT64_MAX / 2 && length < sizeof(name) &&
            read_at(fd, names + entry.d_un.d_val, name, length) && memcmp(name, prefix, length) == 0)
            return true;
    }
    return false;
}

/* Go marks its programs by a section, stripped or not. */
static bool has_go_section(int fd, const ElfW(Ehdr) * header)
{
    ElfW(Shdr) section, names;
    char name[20];
    if (header->e_shoff == 0 || header->e_shstrndx >= header->e_shnum ||
        !read_at(fd, header->e_shoff + (uint64_t)header->e_shstrndx * header->e_shentsize, &names, sizeof(names)))
        return false;
    for (unsigned i = 0; i < header->e_shnum && i < HEADERS_MAX; i++) {
        if (!read_at(fd, header->e_shoff + (uint64_t)i * header->e_shentsize, &section, sizeof(section)))
            return false;
        if (section.sh_name > NAMES_MAX || section.sh_name >= names.sh_size || names.sh_offset > INT64_MAX)
            continue;
        memset(name, 0, sizeof(name));
        size_t size = sizeof(name) - 1;
        if (size > names.sh_size - section.sh_name)
            size = names.sh_size - section.sh_name;
        if (read_at(fd, names.sh_offset + section.sh_name, name, size) &&
            (strcmp(name, ".go.buildinfo") == 0 || strcmp(name, ".note.go.buildid") == 0))
            return true;
    }
    return false;
}

int hqq_elf_read(int fd, struct hqq_elf *ret_elf)
{
    ElfW(Ehdr) header;
    *ret_elf = (struct hqq_elf){0};
    if (!read_at(fd, 0, &header, EI_NIDENT) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
        return 0;
    ret_elf->is_elf = true;
    ret_elf->class = header.e_ident[EI_CLASS];
    ret_elf->is_foreign = ret_elf->class != OWN_CLASS || header.e_ident[EI_DATA] != ELFDATA2LSB;
    if (ret_elf->is_foreign)
        return 0;
    if (!read_at(fd, 0, &header, sizeof(header)) || header.e_phentsize < sizeof(ElfW(Phdr)))
        return -ENOEXEC;
    ret_elf->machine = header.e_machine;
    ret_elf->type = header.e_type;
    read_loader(fd, &header, ret_elf);
    ret_elf->needs_asan = needs_library(fd, &header, "libasan.so");
    if (header.e_shentsize >= sizeof(ElfW(Shdr)))
        ret_elf->is_go = has_go_section(fd, &header);
    return 0;
}

const char *hqq_elf_interpreter(int fd, char line[HQQ_ELF_SCRIPT_LINE])
{
    long size = syscall(SYS_pread64, fd, line, HQQ_ELF_SCRIPT_LINE - 1, (off_t)0);
    if (size < 3 || memcmp(line, "#!", 2) != 0)
        return NULL;
    line[size] = '\0';
    char *start = line + 2 + strspn(line + 2, " \t");
    start[strcspn(start, " \t\n")] = '\0';
    return *start ? start : NULL;
}

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#else
#define OWN_MACHINE EM_AARCH64
#endif

enum hqq_elf_flaw hqq_elf_flaw(const struct hqq_elf *elf)
{
    if (!elf->is_elf)
        return HQQ_ELF_BEARS;
    if (elf->is_foreign || elf->machine != OWN_MACHINE)
        return HQQ_ELF_FOREIGN;
    if (strstr(elf->loader, "ld-musl"))
        return HQQ_ELF_MUSL;
    return elf->needs_asan ? HQQ_ELF_ASAN_BEFORE : HQQ_ELF_BEARS;
}
