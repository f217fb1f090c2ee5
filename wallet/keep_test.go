package wallet

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func init() { workFactor = 10 }

var (
	pass = []byte("correct horse battery")
	day  = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
)

// canary stands for everything that must not be readable.
const canary = "Amina Juma of Uhuru"

func create(t *testing.T) (*Wallet, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "w")
	w, err := Create(dir, pass)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w, dir
}

// some is a credential with n copies.
func some(t *testing.T, at time.Time, n int) Held {
	t.Helper()
	id, err := newID(at)
	if err != nil {
		t.Fatal(err)
	}
	h := Held{ID: id, Issuer: "https://issuer.example", Type: "urn:xa:card", Accepted: at, Names: map[string]string{"en": canary}}
	for range n {
		key, _, err := NewKey()
		if err != nil {
			t.Fatal(err)
		}
		h.Copies = append(h.Copies, Copy{Credential: canary, Key: key})
	}
	return h
}

func TestKeeps(t *testing.T) {
	w, dir := create(t)
	first, second := some(t, day, 2), some(t, day.Add(time.Hour), 1)
	for _, h := range []Held{second, first} {
		if err := w.Put(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Note(Entry{At: day, Deed: Accepted, Credential: first.ID, Party: canary}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, pass); !errors.Is(err, ErrInUse) {
		t.Errorf("a second program: %v, want ErrInUse", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w, err := Open(dir, pass)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	held, err := w.Held()
	if d := cmp.Diff([]Held{first, second}, held); d != "" || err != nil {
		t.Errorf("%v, -want +got:\n%s", err, d)
	}
	log, err := w.Log()
	if len(log) != 1 || err != nil || log[0].Party != canary {
		t.Errorf("log %+v, %v", log, err)
	}
	if got, err := w.Get(first.ID[:12]); err != nil || got.ID != first.ID {
		t.Errorf("by the beginning of its id: %s, %v", got.ID, err)
	}
	for _, id := range []string{"", first.ID[:1], "zzzz", "../wallet", first.ID + "x"} {
		if _, err := w.Get(id); !errors.Is(err, ErrNotHeld) {
			t.Errorf("Get(%q): %v, want ErrNotHeld", id, err)
		}
	}
	if err := w.Delete(first.ID); err != nil {
		t.Error(err)
	}
	if err := w.Delete(first.ID); !errors.Is(err, ErrNotHeld) {
		t.Errorf("deleted twice: %v", err)
	}
	if held, err = w.Held(); len(held) != 1 || err != nil {
		t.Errorf("%d left, %v", len(held), err)
	}
}

// TestIDsStayInTheirFolder: an id is the name of a file, and never the way to another one.
func TestIDsStayInTheirFolder(t *testing.T) {
	w, _ := create(t)
	defer w.Close()
	held := some(t, day, 1)
	if err := w.Put(held); err != nil {
		t.Fatal(err)
	}
	waits := Pending{Held: held}
	if err := w.PutPending(waits); err != nil {
		t.Fatal(err)
	}
	if err := w.Delete("../" + waitFolder + "/" + held.ID); !errors.Is(err, ErrNotHeld) {
		t.Errorf("Delete of what is pending: %v, want ErrNotHeld", err)
	}
	if err := w.DeletePending("../" + heldFolder + "/" + held.ID); err != nil {
		t.Errorf("DeletePending of what is held: %v", err)
	}
	for _, id := range []string{"", "../held/" + held.ID, held.ID + "x", held.ID[:len(held.ID)-1] + "/"} {
		stray := Pending{Held: held}
		if stray.ID = id; w.PutPending(stray) == nil {
			t.Errorf("PutPending of %q", id)
		}
	}
	if all, err := w.Held(); err != nil || len(all) != 1 {
		t.Errorf("%d held, %v", len(all), err)
	}
	if all, err := w.Pending(); err != nil || len(all) != 1 {
		t.Errorf("%d pending, %v", len(all), err)
	}
}

// TestImportRefuses: whoever made an export chose the names in it. They are no way out of the
// wallet, and of what is not whole nothing is taken.
func TestImportRefuses(t *testing.T) {
	good := export{format, []Held{some(t, day, 1)}, []Entry{{ID: some(t, day, 1).ID, At: day}}}
	for name, tt := range map[string]struct {
		spoil func(*export)
		want  error
	}{
		"another format":          {func(e *export) { e.Format++ }, ErrVersion},
		"an older format":         {func(e *export) { e.Format-- }, ErrVersion},
		"a credential elsewhere":  {func(e *export) { e.Held[0].ID = "../pending/" + e.Held[0].ID }, ErrCorrupt},
		"a second elsewhere":      {func(e *export) { e.Held = append(e.Held, Held{ID: "../x"}) }, ErrCorrupt},
		"a credential of no name": {func(e *export) { e.Held[0].ID = "" }, ErrCorrupt},
		"an entry elsewhere":      {func(e *export) { e.Log[0].ID = "../held/" + e.Log[0].ID }, ErrCorrupt},
		"an entry of no name":     {func(e *export) { e.Log[0].ID = "" }, ErrCorrupt},
	} {
		w, _ := create(t)
		e := export{good.Format, append([]Held{}, good.Held...), append([]Entry{}, good.Log...)}
		tt.spoil(&e)
		b, err := seal(pass, e)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := w.Import(b, pass); !errors.Is(err, tt.want) || n != 0 {
			t.Errorf("%s: %d, %v, want %v", name, n, err, tt.want)
		}
		held, err := w.Held()
		log, err2 := w.Log()
		pending, err3 := w.Pending()
		if err := errors.Join(err, err2, err3); err != nil || len(held)+len(log)+len(pending) != 0 {
			t.Errorf("%s: %d held, %d in the log, %d pending, %v", name, len(held), len(log), len(pending), err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMayAsk: VCI-16. Nothing leaves the wallet for what is no address of a server, whoever
// named it.
func TestMayAsk(t *testing.T) {
	for _, loopback := range []bool{false, true} {
		a := &Agent{cfg: Config{LoopbackHTTP: loopback}}
		for address, want := range map[string]bool{
			"https://issuer.example/x?y": true, "https://issuer.example:8443": true, "https://127.0.0.1": true,
			"http://127.0.0.1:8080/x": loopback, "http://localhost/x": loopback, "http://[::1]/x": loopback,
			"http://issuer.example": false, "http://127.0.0.1.example/": false, "ftp://127.0.0.1/": false, "file:///etc/passwd": false,
			"https://a@issuer.example": false, "https://a:b@issuer.example": false, "https://issuer.example/#x": false, "https://issuer.example#": false,
			"https:issuer.example": false, "https:///x": false, "https://:443/x": false, "//issuer.example": false, "": false, "https://issuer.example/%zz": false,
		} {
			err := a.mayAsk(address)
			r, refused := errors.AsType[*RefusedError](err)
			if want && err != nil || !want && (!refused || r.Reason != UnsafeAddress) {
				t.Errorf("VCI-16 %q with LoopbackHTTP %t: %v", address, loopback, err)
			}
		}
	}
}

// TestNothingIsReadable: neither what credentials say nor the names of parties.
func TestNothingIsReadable(t *testing.T) {
	w, dir := create(t)
	h := some(t, day, 1)
	if err := errors.Join(w.Put(h), w.Note(Entry{At: day, Party: canary})); err != nil {
		t.Fatal(err)
	}
	out, err := w.Export(pass)
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{[]byte(canary), h.Copies[0].Key, []byte("AGE-SECRET-KEY"), []byte("urn:xa:card")}
	look := func(name string, b []byte) {
		for _, s := range secrets {
			if bytes.Contains(b, s) {
				t.Errorf("%s holds %q", name, s[:8])
			}
		}
	}
	look("the export", out)
	files := 0
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		b, err := os.ReadFile(path)
		look(path, b)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if files != 3 {
		t.Errorf("%d files, want 3", files)
	}
}

func TestExport(t *testing.T) {
	a, _ := create(t)
	b, _ := create(t)
	first, second := some(t, day, 1), some(t, day, 3)
	if err := errors.Join(a.Put(first), a.Put(second), b.Put(first), a.Note(Entry{At: day, Deed: Presented})); err != nil {
		t.Fatal(err)
	}
	out, err := a.Export([]byte("another passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Import(out, pass); !errors.Is(err, ErrPassphrase) {
		t.Errorf("the wallet's passphrase: %v, want ErrPassphrase", err)
	}
	for i, want := range []int{1, 0} {
		if n, err := b.Import(out, []byte("another passphrase")); n != want || err != nil {
			t.Errorf("import %d: %d, %v, want %d", i, n, err, want)
		}
	}
	held, err := b.Held()
	if err != nil || len(held) != 2 {
		t.Fatalf("%d held, %v", len(held), err)
	}
	if log, err := b.Log(); len(log) != 1 || err != nil {
		t.Errorf("%d entries, %v, want 1", len(log), err)
	}
	for _, h := range held {
		for _, c := range h.Copies {
			if _, err := c.Signer(); err != nil {
				t.Errorf("a key that was imported: %v", err)
			}
		}
	}
	if _, err := a.Export([]byte("short")); !errors.Is(err, ErrShortPassphrase) {
		t.Errorf("a short passphrase: %v", err)
	}
}

// TestImportOfNothing: a credential without a copy, which no wallet writes, is not taken in:
// nothing here would know what to do with it.
func TestImportOfNothing(t *testing.T) {
	w, _ := create(t)
	good, empty := some(t, day, 1), some(t, day, 1)
	empty.Copies = nil
	out, err := seal(pass, export{Format: format, Held: []Held{good, empty}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Import(out, pass); n != 0 || !errors.Is(err, ErrCorrupt) {
		t.Errorf("%d, %v, want ErrCorrupt", n, err)
	}
	if held, err := w.Held(); err != nil || len(held) != 0 {
		t.Errorf("%d held, %v", len(held), err)
	}
}

// TestRefused spoils one thing a row.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(dir string) error
		want  error
	}{
		{"nothing there", os.RemoveAll, ErrNoWallet},
		{"an identity that is not there", func(dir string) error { return os.Remove(filepath.Join(dir, identityName)) }, ErrNoWallet},
		{"an empty identity", func(dir string) error { return os.WriteFile(filepath.Join(dir, identityName), nil, 0o600) }, ErrCorrupt},
		{"an identity cut off", func(dir string) error { return cut(filepath.Join(dir, identityName)) }, ErrCorrupt},
		{"an identity with a bit changed", func(dir string) error { return flip(filepath.Join(dir, identityName)) }, ErrCorrupt},
		{"another wallet's identity", func(dir string) error {
			sealed, err := seal([]byte("somebody else's"), identity{format, "AGE-SECRET-KEY-1"})
			return errors.Join(err, os.WriteFile(filepath.Join(dir, identityName), sealed, 0o600))
		}, ErrPassphrase},
		{"a newer format", func(dir string) error {
			sealed, err := seal(pass, identity{format + 1, ""})
			return errors.Join(err, os.WriteFile(filepath.Join(dir, identityName), sealed, 0o600))
		}, ErrVersion},
		{"an identity that is none", func(dir string) error {
			sealed, err := seal(pass, identity{format, "AGE-SECRET-KEY-1"})
			return errors.Join(err, os.WriteFile(filepath.Join(dir, identityName), sealed, 0o600))
		}, ErrCorrupt},
		{"a huge file", func(dir string) error { return os.Truncate(filepath.Join(dir, identityName), 1<<30) }, ErrCorrupt},
	} {
		w, dir := create(t)
		if err := errors.Join(w.Close(), tt.spoil(dir)); err != nil {
			t.Fatal(err)
		}
		if w, err := Open(dir, pass); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			if err == nil {
				_ = w.Close()
			}
		}
	}
	w, dir := create(t)
	if _, err := Create(dir, pass); !errors.Is(err, ErrExists) {
		t.Errorf("made twice: %v", err)
	}
	if _, err := Create(filepath.Join(t.TempDir(), "x"), []byte("short")); !errors.Is(err, ErrShortPassphrase) {
		t.Errorf("a short passphrase: %v", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, []byte("wrong horse battery")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
}

// TestOneBadFile: the others stay usable, and nobody is left in the dark.
func TestOneBadFile(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(path string) error
	}{
		{"cut off", cut},
		{"changed", flip},
		{"empty", func(path string) error { return os.WriteFile(path, nil, 0o600) }},
		{"of another wallet", func(path string) error {
			other, dir := create(t)
			h := some(t, day, 1)
			if err := other.Put(h); err != nil {
				return err
			}
			b, err := os.ReadFile(filepath.Join(dir, heldFolder, h.ID+suffix))
			return errors.Join(err, os.WriteFile(path, b, 0o600))
		}},
	} {
		w, dir := create(t)
		good, bad := some(t, day, 1), some(t, day, 1)
		if err := errors.Join(w.Put(good), w.Put(bad), tt.spoil(filepath.Join(dir, heldFolder, bad.ID+suffix))); err != nil {
			t.Fatal(err)
		}
		held, err := w.Held()
		if len(held) != 1 || held[0].ID != good.ID || !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %d held, %v, want the good one and ErrCorrupt", tt.name, len(held), err)
		}
		if _, err := w.Get(bad.ID); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", tt.name, err)
		}
	}
}

// TestTooLong: nothing is written that could not be read again.
func TestTooLong(t *testing.T) {
	w, _ := create(t)
	h := some(t, day, 1)
	h.Labels = map[string]map[string]string{"name": {"en": strings.Repeat("<", maxFile/6)}} // six bytes each, as JSON
	for name, err := range map[string]error{"credential": w.Put(h), "pending": w.PutPending(Pending{Held: h})} {
		if r, ok := errors.AsType[*RefusedError](err); !ok || r.Reason != BadMessage {
			t.Errorf("%s: %v, want %s", name, err, BadMessage)
		}
	}
	if held, err := w.Held(); err != nil || len(held) != 0 {
		t.Errorf("%d held, %v", len(held), err)
	}
	if pending, err := w.Pending(); err != nil || len(pending) != 0 {
		t.Errorf("%d pending, %v", len(pending), err)
	}
}

func TestFresh(t *testing.T) {
	h := some(t, day, 3)
	var order []int
	for range 7 {
		i := h.Fresh()
		h.Copies[i].Shown++
		order = append(order, i)
	}
	if d := cmp.Diff([]int{0, 1, 2, 0, 1, 2, 0}, order); d != "" {
		t.Error(d)
	}
	seen := map[[32]byte]bool{}
	for _, c := range h.Copies {
		s, err := c.Signer()
		if err != nil {
			t.Fatal(err)
		}
		seen[sha256.Sum256(s.Key().Public.BareJWK())] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d keys for 3 copies", len(seen))
	}
}

func cut(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b[:len(b)/2], 0o600)
}

func flip(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[len(b)-1] ^= 1
	return os.WriteFile(path, b, 0o600)
}

// TestPrintingShowsNoSecret: keys, credentials and tokens stay out of whatever somebody prints.
func TestPrintingShowsNoSecret(t *testing.T) {
	c := Copy{Credential: canary, Key: []byte(canary)}
	h := Held{ID: "one", Copies: []Copy{c}}
	p := Pending{Came: []string{canary}}
	for _, v := range []any{c, &c, h, &h, []Held{h}, h.Copies, p, &p} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if said := fmt.Sprintf(verb, v); strings.Contains(said, canary) || strings.Contains(said, fmt.Sprint([]byte(canary))) {
				t.Errorf("%s of %T prints %s", verb, v, said)
			}
		}
	}
}
