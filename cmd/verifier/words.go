package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/sanad-id/sanad/internal/i18n"
)

// language is that of --lang, or of the environment in the order of POSIX.
func (p *program) language() (i18n.Language, error) {
	if p.lang == "" {
		for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
			if v := os.Getenv(name); v != "" {
				return i18n.For(v), nil
			}
		}
		return i18n.Language{}, nil
	}
	base, _, _ := strings.Cut(strings.ReplaceAll(p.lang, "_", "-"), "-")
	var names []string
	for _, l := range i18n.Languages() {
		if strings.EqualFold(base, l.Tag()) {
			return l, nil
		}
		names = append(names, l.Tag())
	}
	return i18n.Language{}, fmt.Errorf("--lang %q is not one of %s", p.lang, strings.Join(names, ", "))
}
