package fsck

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/credential/status"
	"github.com/sanad-id/sanad/internal/published"
	"github.com/sanad-id/sanad/issuance"
)

// late is how long the published folder may have less than was published last: as long
// as a revocation may take (promise P05).
const late = 5 * time.Minute

// A Folder is what a published folder held at one moment; [ReadFolder] reads it.
type Folder struct {
	now     time.Time
	index   published.Index
	damaged bool // the index
	files   map[string]fileState
	digests map[string]bool // of the files
}

// fileState is one file that is there, or that the index names.
type fileState struct {
	digest string
	err    error
}

// ReadFolder reads a published folder. What is wrong with it is found by [Check]; an error
// means that it could not be looked at. It must be read before the database, and its
// publishers kept away until [Config.Source] is there: then the database knows what it has.
func ReadFolder(folder string, now time.Time) (*Folder, error) {
	f := &Folder{now: now, files: map[string]fileState{}, digests: map[string]bool{}}
	var err error
	f.index, err = published.Read(folder)
	f.damaged = errors.Is(err, published.ErrDamaged)
	if err != nil && !f.damaged && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	there, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, n := range there {
		if slices.Contains([]string{".cwt", ".jwt", ".trust"}, filepath.Ext(n.Name())) {
			f.files[n.Name()] = fileState{}
		}
	}
	for _, v := range f.index.Files() {
		f.files[v.File] = fileState{}
	}
	for name := range f.files {
		digest, err := published.Sum(folder, name)
		f.files[name], f.digests[digest] = fileState{digest, err}, err == nil
	}
	return f, nil
}

// publicationOf is the name of the publication that a file of the index is.
func publicationOf(v published.File) string {
	switch {
	case v.URI == "":
		return issuance.TrustName
	case v.Type == status.MediaTypeJWT:
		return issuance.JWTName(v.URI)
	}
	return v.URI
}

// A logged is a publication as the log has it.
type logged struct {
	name   string // "" if that cannot be told
	number uint64
}

// noteFile notes what the log says of a file in the folder.
func (k *checker) noteFile(e *audit.Event) {
	if k.Folder != nil && k.Folder.digests[e.Digest] {
		k.logged[e.Digest] = logged{publicationName(e, k.named), publicationNumber(e)}
	}
}

// checkFolder compares the published folder with what was published.
func (k *checker) checkFolder() error {
	f := k.Folder
	if f == nil {
		return nil
	}
	k.report.Files = len(f.files)
	if f.damaged {
		k.find(FolderDamaged, published.IndexName, "it is no index")
	}
	named := map[string]bool{}
	for _, v := range f.index.Files() {
		named[publicationOf(v)] = true
	}
	for _, p := range k.published {
		if !f.damaged && !named[p.name] && p.name != issuance.PartName && k.overdue(p) {
			k.find(FolderMissing, p.name, "number %d was published on %s, and %s does not name it", p.number, p.issued.Format(time.RFC3339), published.IndexName)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		k.checkFile(name, f.files[name])
	}
	return nil
}

// overdue reports whether a publication should be in the folder by now.
func (k *checker) overdue(p *publication) bool {
	return !p.empty && k.Folder.now.Sub(p.issued) > late
}

func (k *checker) checkFile(name string, s fileState) {
	versions := k.Folder.index.Versions(name)
	switch {
	case errors.Is(s.err, fs.ErrNotExist):
		k.find(FolderMissing, name, "%s names it", published.IndexName)
		return
	case s.err != nil:
		k.find(FolderDamaged, name, "%v", s.err)
		return
	case len(versions) > 0 && !slices.ContainsFunc(versions, func(v published.File) bool { return v.SHA256 == s.digest }):
		k.find(FolderDamaged, name, "it has another digest than %s says", published.IndexName)
		return
	case k.broken:
		return // what the log does not tell
	}
	e, ok := k.logged[s.digest]
	if !ok {
		k.find(FolderUnknown, name, "the log knows no publication with this content")
		return
	}
	if len(versions) > 0 && e.name != "" && e.name != publicationOf(versions[0]) {
		k.find(FolderDamaged, name, "it is %s, and %s says that it is %s", e.name, published.IndexName, publicationOf(versions[0]))
		return
	}
	if p := k.named[e.name]; p != nil && e.number < p.number && k.overdue(p) {
		k.find(FolderLate, name, "it is number %d, and number %d was published on %s", e.number, p.number, p.issued.Format(time.RFC3339))
	}
}
