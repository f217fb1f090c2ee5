package programme

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/internal/strictyaml"
)

// A Fault is one thing that is wrong with a programme file.
type Fault struct {
	// Line and Column say where, from 1. Column is 0 where only the line is
	// known, and both are 0 for the file as a whole.
	Line, Column int
	// Path names the key, such as claims[2].type; empty for the file as a whole.
	Path string
	// Detail says what is wrong and what to write instead.
	Detail string
}

// String is one line for people.
func (f Fault) String() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "line %d", f.Line)
		if f.Column > 0 {
			fmt.Fprintf(&b, ", column %d", f.Column)
		}
		b.WriteString(": ")
	}
	if f.Path != "" {
		b.WriteString(f.Path)
		b.WriteString(": ")
	}
	b.WriteString(f.Detail)
	return b.String()
}

// Faults is everything that is wrong with a programme file, in the order of the
// file. It is the error of [Parse].
type Faults []Fault

// maxFaults is how many faults are reported; a file with more is no programme.
const maxFaults = 100

// Error lists the faults, a line each.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) sorted() Faults {
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return f
}

// meant is a hint such as `; did you mean "farmerID"?`.
func meant(text string, candidates []string) string { return strictyaml.Meant(text, candidates) }

// clip shortens text of the file for a message.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "..."
	}
	return s
}
