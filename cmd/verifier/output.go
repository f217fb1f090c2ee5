package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/sanad-id/sanad/internal/cli"
)

// rows writes lines of two columns, the first as wide as its widest cell.
func rows(w io.Writer, indent string, total int, lines [][2]string) {
	first := 0
	for _, l := range lines {
		first = max(first, min(cli.Columns(l[0]), 28))
	}
	hang := indent + strings.Repeat(" ", first+2)
	for _, l := range lines {
		fmt.Fprintf(w, "%s%s  %s\n", indent, cli.Pad(l[0], first), cli.Wrap(l[1], max(20, total-len(hang)), hang))
	}
}
