package registry

import (
	"fmt"
	"strings"
)

// ShortName cuts the name of a column or a table to a length that an error can carry.
func ShortName(name string) string {
	if len(name) <= 64 {
		return name
	}
	return strings.ToValidUTF8(name[:64], "") + "..."
}

// NameList is names of columns or tables in quotes, for a person to choose from: the first
// sixty of them, and how many more there are.
func NameList(names []string) string {
	const most = 60
	if len(names) == 0 {
		return "none"
	}
	var b strings.Builder
	for i, n := range names[:min(len(names), most)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%q", ShortName(n))
	}
	if len(names) > most {
		fmt.Fprintf(&b, " and %d more", len(names)-most)
	}
	return b.String()
}

// NoColumn says what is wrong with a setting that should name a column and does not.
func NoColumn(column string) string {
	if column == "" {
		return "none is named"
	}
	return fmt.Sprintf("%q is not a column", ShortName(column))
}
