package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// word is one of a shell's words: in quotes, or without spaces.
var word = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)

// TestHelpHasExamples walks every command: it has examples, and the program understands
// them as they are printed.
func TestHelpHasExamples(t *testing.T) {
	tree := func() *cobra.Command {
		root := (&program{}).commands()
		root.PersistentFlags().Bool("json", false, "") // which Run adds
		return root
	}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.HasSubCommands() && c.Example == "" {
			return // a group, or the program itself: its commands have them
		}
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for _, line := range strings.Split(strings.ReplaceAll(c.Example, "\\\n", " "), "\n") {
			line, _, _ = strings.Cut(line, " #")
			line = strings.FieldsFunc(line, func(r rune) bool { return r == '|' || r == '>' })[0]
			args := word.FindAllString(line, -1)
			if len(args) == 0 || args[0] != "issuer" {
				continue
			}
			named, rest, err := tree().Find(args[1:])
			if err == nil {
				err = named.ParseFlags(rest)
			}
			if err == nil {
				err = named.ValidateArgs(named.Flags().Args())
			}
			if err == nil {
				err = named.ValidateRequiredFlags()
			}
			if err != nil {
				t.Errorf("%s: %q: %v", c.CommandPath(), line, err)
			}
		}
	}
	walk(tree())
}
