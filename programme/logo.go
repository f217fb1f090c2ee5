package programme

import (
	"regexp"

	"go.yaml.in/yaml/v3"
)

// Logo is the picture by which wallets draw the wallet forms of a programme (OpenID4VCI
// 1.0, section 12.2.4, display). It is in no credential. The zero Logo is none.
type Logo struct {
	// File is the name of an SVG or PNG file beside the programme file, URI the https
	// address at which somebody else serves one; one of the two.
	File, URI string
	// AltText says by language what it shows, for who does not see it; nil stands for the
	// labels of the programme.
	AltText map[string]string
}

// logoFile is a name that is the same on every system, without a folder.
var logoFile = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,59}\.(svg|png)$`)

// readLogo reads logo: of a file. The picture itself is read by who serves it.
func (f *file) readLogo(n *yaml.Node, path string) {
	l := &f.p.Logo
	f.object(n, path, []field{
		{"file", false, func(n *yaml.Node, path string) {
			l.File = f.word(n, path, logoFile, "the name of a file beside this one, such as farmer-card.svg or farmer-card.png, without a folder")
		}},
		{"uri", false, func(n *yaml.Node, path string) {
			l.URI = f.word(n, path, vctPattern, "an https address without query, such as https://registry.example.org/farmer-card.svg")
			if len(l.URI) > 255 {
				f.fault(n, path, "has more than 255 characters")
			}
		}},
		{"alt_text", false, func(n *yaml.Node, path string) { l.AltText = f.readLabels(n, path) }},
	})
	if n.Kind == yaml.MappingNode && f.has(n, "file") == f.has(n, "uri") {
		f.fault(n, path, "needs either file (a picture beside this file) or uri (where one is served)")
	}
}
