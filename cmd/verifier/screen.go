package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/i18n"
	"github.com/sanad-id/sanad/verification"
	"github.com/sanad-id/sanad/verification/explain"
)

// A screen prints reports for people.
type screen struct {
	out    io.Writer
	words  i18n.Language
	width  int
	colour bool
	all    bool // sensitive claims too
}

// signs stand before the words of a verdict, so that nobody has to tell colours
// apart: a tick, a triangle, a cross, a question mark.
var signs = map[verification.Verdict]struct{ sign, colour string }{
	verification.Valid:        {"(✓)", "32"},
	verification.CheckNeeded:  {"/!\\", "33"},
	verification.Invalid:      {"<✗>", "31"},
	verification.Undetermined: {"[?]", "36"},
}

func (s screen) line(text string) { fmt.Fprintln(s.out, text) }

// para prints a paragraph: its first line after lead, the others below the text.
func (s screen) para(lead, text string) {
	indent := strings.Repeat(" ", cli.Columns(lead))
	fmt.Fprintf(s.out, "%s%s\n", lead, cli.Wrap(text, s.width-len(indent), indent))
}

// report prints what a relying party needs, most important first: the verdict,
// why, who issued what to whom, and how old the knowledge behind it is.
func (s screen) report(r verification.Report) {
	p := explain.Report(r, explain.Options{Language: s.words, Sensitive: s.all})
	sign := signs[p.Verdict]
	head := sign.sign + " " + p.Heading
	if s.colour {
		head = "\x1b[1;" + sign.colour + "m" + head + "\x1b[0m"
	}
	s.line(head)
	for i, y := range p.Why {
		if i == 0 {
			s.line("")
		}
		if y.Kind != "" {
			s.para("  ", y.Kind)
		}
		if y.Text != "" {
			s.para("    ", y.Text)
		}
		s.para("  ", y.Reason)
		s.para("    → ", y.Advice)
	}
	s.table(p.Facts)
	claims := p.Claims
	if len(p.Hidden) > 0 {
		claims = append(claims, explain.Row{Label: s.words.Text("label.hidden", nil), Value: strings.Join(p.Hidden, ", ")})
	}
	s.table(claims)
	for i, n := range p.Notes {
		if i == 0 {
			s.line("")
		}
		s.para("  ", n)
	}
}

// table prints rows after an empty line, if there are any.
func (s screen) table(all []explain.Row) {
	var lines [][2]string
	for _, row := range all {
		if row.Partial {
			row.Value += " ⚠"
		}
		lines = append(lines, [2]string{row.Label, row.Value})
	}
	if len(lines) > 0 {
		s.line("")
		rows(s.out, "  ", s.width, lines)
	}
}
