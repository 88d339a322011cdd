package contents

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"github.com/tasuki-dev/tasuki"
)

// program is what the first bytes of a file say of how it is run.
type program struct {
	machine     elf.Machine // 0 for a script
	interpreter string      // what runs a script, or loads a program; "" for none
}

// machines is what programs say that they are for, by architecture.
var machines = map[tasuki.Architecture]elf.Machine{tasuki.X86_64: elf.EM_X86_64, tasuki.ARM64: elf.EM_AARCH64}

// machineName names a machine as images' configurations do, or as ELF does.
func machineName(m elf.Machine) string {
	for arch, machine := range machines {
		if machine == m {
			return arch.OCI()
		}
	}
	return strings.TrimPrefix(m.String(), "EM_")
}

// beginning is how much of a file is looked at. Linkers put the program headers and
// the interpreter's name into the first kilobyte.
const beginning = 4096

// readProgram reads the beginning of an executable file. It returns nil for what the
// kernel cannot run.
func readProgram(r io.Reader) (*program, error) {
	head := make([]byte, beginning)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	head = head[:n] // where the archive is cut off, its reader says so at the next member
	switch {
	case bytes.HasPrefix(head, []byte("#!")):
		return readScript(head), nil
	case bytes.HasPrefix(head, []byte(elf.ELFMAG)):
		return readELF(head), nil
	}
	return nil, nil
}

// readScript reads the first line of a script (Linux, execve(2), "Interpreter scripts").
func readScript(head []byte) *program {
	line, _, _ := bytes.Cut(head[len("#!"):min(len(head), 256)], []byte("\n"))
	// A carriage return is part of the name, and the end of many a script from Windows.
	fields := strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\t' })
	if len(fields) == 0 {
		return nil
	}
	return &program{interpreter: fields[0]}
}

// The places of the section table's offset and entries in an ELF header, of 64 and of 32 bits.
var sectionTables = map[byte]struct{ offset, width, entries int }{
	byte(elf.ELFCLASS64): {0x28, 8, 0x3c},
	byte(elf.ELFCLASS32): {0x20, 4, 0x30},
}

// readELF reads the header of a program and the name of what loads it.
func readELF(head []byte) *program {
	if len(head) < 0x40 {
		return nil
	}
	table, known := sectionTables[head[elf.EI_CLASS]]
	if !known {
		return nil
	}
	// The sections lie at the file's end, and say nothing that matters here.
	head = bytes.Clone(head)
	clear(head[table.offset : table.offset+table.width])
	clear(head[table.entries : table.entries+4])
	file, err := elf.NewFile(bytes.NewReader(head))
	if err != nil {
		return readMachine(head)
	}
	p := &program{machine: file.Machine}
	for _, segment := range file.Progs {
		if segment.Type != elf.PT_INTERP || segment.Filesz > beginning {
			continue
		}
		name, err := io.ReadAll(segment.Open())
		if err == nil {
			name, _, _ = bytes.Cut(name, []byte("\x00"))
			p.interpreter = string(name)
		}
	}
	return p
}

// readMachine reads what a program is for, where no more of it can be read.
func readMachine(head []byte) *program {
	var order binary.ByteOrder = binary.LittleEndian
	if head[elf.EI_DATA] == byte(elf.ELFDATA2MSB) {
		order = binary.BigEndian
	}
	if machine := elf.Machine(order.Uint16(head[0x12:])); machine != 0 {
		return &program{machine: machine}
	}
	return nil
}
