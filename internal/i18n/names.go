//go:build !js

package i18n

import (
	"embed"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

// scripts/names.mjs makes them from CLDR. The names of golang.org/x/text/language/display
// would make each program larger by two megabytes, and are those of 2017.
//
//go:embed names/*.txt
var nameFiles embed.FS

// names are those of codes by language, each list read when somebody asks for it.
var names = func() []func() map[string]string {
	var all []func() map[string]string
	for _, tag := range tags {
		all = append(all, sync.OnceValue(func() map[string]string {
			b, err := nameFiles.ReadFile("names/" + tag + ".txt")
			if err != nil {
				panic("i18n: internal error: " + err.Error())
			}
			list := map[string]string{}
			for line := range strings.Lines(string(b)) {
				code, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
				list[code] = name
			}
			return list
		}))
	}
	return all
}()

// nameOfLanguage is the name of a language, "" if it is not known.
func (l Language) nameOfLanguage(code string) string {
	base, err := language.ParseBase(code)
	if err != nil {
		return ""
	}
	return names[l.index]()[base.String()]
}

// nameOfCountry is the name of a country, "" if it is not known.
func (l Language) nameOfCountry(code string) string {
	region, err := language.ParseRegion(code)
	if err != nil {
		return ""
	}
	return names[l.index]()[region.String()]
}
