package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/internal/i18n"
)

// LanguageFlag adds --lang, the language of what, to a command and all below it.
func (p *Program) LanguageFlag(c *cobra.Command, what string) {
	c.PersistentFlags().StringVar(&p.lang, "lang", "", "`LANGUAGE` of "+what+": ar, bn, en, fr, pt or sw; ar-u-nu-arab or bn-u-nu-latn for other digits (default: that of your system)")
}

// Language is that of --lang, or of the environment in the order of POSIX.
func (p *Program) Language() (i18n.Language, error) {
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
			return i18n.For(p.lang), nil
		}
		names = append(names, l.Tag())
	}
	return i18n.Language{}, p.Misused(fmt.Errorf("--lang %q is not one of %s", p.lang, strings.Join(names, ", ")))
}
