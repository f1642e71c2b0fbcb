#include "tools/run/elf.h"

#include <elf.h>
#include <errno.h>
#include <link.h> /* ElfW */
#include <stddef.h>
#include <string.h>
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
        ssize_t got = pread(fd, (char *)memory + at, size - at, (off_t)(offset + at));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

static void read_interpreter(int fd, const ElfW(Ehdr) * header, struct run_elf *elf)
{
    for (unsigned i = 0; i < header->e_phnum && i < HEADERS_MAX; i++) {
        ElfW(Phdr) program;
        if (!read_at(fd, header->e_phoff + (uint64_t)i * header->e_phentsize, &program, sizeof(program)))
            return;
        if (program.p_type != PT_INTERP || program.p_filesz == 0 || program.p_filesz >= sizeof(elf->interpreter))
            continue;
        if (read_at(fd, program.p_offset, elf->interpreter, program.p_filesz))
            elf->interpreter[program.p_filesz] = '\0';
        else
            elf->interpreter[0] = '\0';
        return;
    }
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

int run_elf_read(int fd, struct run_elf *ret_elf)
{
    ElfW(Ehdr) header;
    *ret_elf = (struct run_elf){0};
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
    read_interpreter(fd, &header, ret_elf);
    if (header.e_shentsize >= sizeof(ElfW(Shdr)))
        ret_elf->is_go = has_go_section(fd, &header);
    return 0;
}
