package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/backup"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/durable"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
	people "github.com/sanad-id/sanad/store/desk"
)

// restoreOptions are the flags of restore.
type restoreOptions struct {
	identity, passphraseFile, keyPassphraseFile string
	store, owner, storePassword, ownerPassword  string
}

func (p *program) restoreCommand() *cobra.Command {
	var o restoreOptions
	c := &cobra.Command{
		Use: "restore FILE --dir NEWDIR", Short: "Set an issuer up anew from a backup; it takes no work before it is confirmed", Args: cobra.ExactArgs(1),
		Long: `Makes the directory NEWDIR, which must not exist, from a backup. Every digest is checked, and the backup must be signed by a backup key of the
keystore in it, which its own passphrase opens.

The issuer that comes out is fenced: what was published can be read and handed out, and nothing can be issued, revoked or published, since
somebody may have done so after the backup was made. ` + "`issuer restore confirm`" + ` brings it up to date from the journal and opens it for work.

Stop the old installation for good before that. On the same PostgreSQL it is shut out; a copy of an SQLite file knows nothing of this one.`,
		Example: `  issuer restore office-2026-11-21.backup --dir office2 --identity key.txt --key-passphrase-file passphrase
  issuer restore confirm --dir office2 --journal /mnt/second/journal
  issuer restore pilot.backup --dir nation --store 'postgres://sanad@db/office' --store-owner 'postgres://owner@db/office' --passphrase-file pass`,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error {
			if p.dir == "" || p.config != "" {
				return p.Misused(cli.Hint(errors.New("where to?"), "--dir NEWDIR names the directory to make"))
			}
			m, err := p.restore(cmd, args[0], o)
			if err != nil {
				return explainBackup(err)
			}
			v := viewBackup(args[0], m)
			return p.Print(cmd, map[string]any{"directory": p.dir, "backup": v, "fenced": store.FenceRestored}, func(w io.Writer) {
				v.text(w)
				fmt.Fprintf(w, "restored to %s, which takes no work yet\nnext: `issuer restore confirm --dir %s --journal FOLDER`\n", p.dir, p.dir)
			})
		}),
	}
	f := c.Flags()
	f.StringVar(&o.identity, "identity", "", "open the backup with the age identities in `FILE`")
	f.StringVar(&o.passphraseFile, "passphrase-file", "", "open the backup with the passphrase in `FILE`")
	f.StringVar(&o.keyPassphraseFile, "key-passphrase-file", "", "the passphrase of the keystore is in `FILE` (default: asked for)")
	f.StringVar(&o.store, "store", "", "keep the database there: a postgres:// `URL` (default: SQLite, "+storeName+" in NEWDIR)")
	f.StringVar(&o.owner, "store-owner", "", "the same database as the role that shall own the tables, as `URL`")
	f.StringVar(&o.storePassword, "store-password-file", "", "the password of the role in --store is in `FILE`")
	f.StringVar(&o.ownerPassword, "store-owner-password-file", "", "the password of the role in --store-owner is in `FILE`")
	c.MarkFlagsMutuallyExclusive("identity", "passphrase-file")
	c.AddCommand(p.restoreConfirm())
	return c
}

// restore makes the directory under another name and moves it into place when it
// is complete, so that a crash leaves no half-made issuer.
func (p *program) restore(cmd *cobra.Command, file string, o restoreOptions) (m backup.Manifest, err error) {
	if entries, err := os.ReadDir(p.dir); err == nil && len(entries) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		return m, cli.Hint(fmt.Errorf("%s is not an empty directory", p.dir), "name a directory that does not exist yet; nothing is ever overwritten")
	}
	with, err := backupKeys(cmd, o.identity, o.passphraseFile)
	if err != nil {
		return m, err
	}
	f, err := os.Open(file)
	if err != nil {
		return m, err
	}
	defer f.Close() // only read
	r, err := backup.NewReader(f, with...)
	if err != nil {
		return m, err
	}
	defer r.Close()
	parent := filepath.Dir(filepath.Clean(p.dir))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return m, err
	}
	temp, err := os.MkdirTemp(parent, ".sanad-restore-")
	if err != nil {
		return m, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(temp)
		}
	}()
	bar := newByteBar(cmd, "restoring")
	t := restoreTarget{p: p, cmd: cmd, dir: temp, o: o}
	m, err = backup.Restore(r, backup.Target{Open: t.open, Chains: t.keep(chainsName), Logos: t.keep(logosName), Desk: t.keepDesk, Load: t.load, Progress: bar.part})
	if err == nil {
		err = t.loadDesk()
	}
	if err == nil { // what the service may not make beside its tables
		all := t.cfg
		all.Serve.Once = cmp.Or(all.Serve.Once, all.Store)
		err = prepareOnce(cmd.Context(), all)
	}
	bar.done()
	if err != nil {
		return m, err
	}
	if err := durable.Sync(temp); err != nil {
		return m, err
	}
	if err := os.Remove(p.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return m, err
	}
	if err := os.Rename(temp, p.dir); err != nil {
		return m, err
	}
	return m, durable.Sync(parent)
}

// A restoreTarget is the directory in the making.
type restoreTarget struct {
	p    *program
	cmd  *cobra.Command
	dir  string
	o    restoreOptions
	cfg  Config // the settings in it
	keys *keys.File
	// desk is what the console kept, in files of spool until all of the backup is proven.
	desk  []people.Table
	from  int // version of those tables
	spool string
}

// open puts settings and keystore into the directory and opens the keystore.
func (t *restoreTarget) open(settings, keystore []byte) (string, []keys.Key, error) {
	for _, path := range []*string{&t.o.keyPassphraseFile, &t.o.storePassword, &t.o.ownerPassword} {
		if *path != "" {
			var err error
			if *path, err = filepath.Abs(*path); err != nil {
				return "", nil, err
			}
		}
	}
	passFile := t.o.keyPassphraseFile
	values := map[string]string{
		"store": cmp.Or(t.o.store, storeName), "store_owner": t.o.owner, "store_password_file": t.o.storePassword,
		"store_owner_password_file": t.o.ownerPassword, "keystore": keystoreName, "key_passphrase_file": passFile, "journal": journalName,
	}
	if !store.IsPostgres(t.o.store) {
		values["store_standby"] = ""
	}
	settings, err := movedSettings(settings, values)
	if err == nil {
		settings, err = withoutDesk(settings)
	}
	if err != nil {
		return "", nil, fmt.Errorf("%w: settings: %w", backup.ErrNotABackup, err)
	}
	for name, content := range map[string][]byte{settingsName: settings, keystoreName: keystore} {
		if err := durable.Create(filepath.Join(t.dir, name), content, 0o600); err != nil {
			return "", nil, err
		}
	}
	cfg, err := readConfig(filepath.Join(t.dir, settingsName))
	if err != nil {
		return "", nil, err
	}
	pass, err := readPassphrase(t.cmd, passFile, "Passphrase of the keystore")
	if err != nil {
		return "", nil, cli.Hint(err, "the backup does not have it, by intention; --key-passphrase-file FILE")
	}
	ks, err := keys.OpenFile(cfg.Keystore, pass)
	if err != nil {
		return "", nil, explainKeystore(err)
	}
	t.cfg, t.keys = cfg, ks
	if err := audit.CreateJournal(filepath.Join(t.dir, journalName)); err != nil {
		return "", nil, err
	}
	known, err := ks.Keys(t.cmd.Context())
	return instance(cfg, ks), known, err
}

func (t *restoreTarget) load(instance string, d store.Dump) error {
	location, o, err := t.cfg.ownerStore(t.keys, t.p.Now)
	if err != nil {
		return err
	}
	o.Instance = instance
	err = store.Load(t.cmd.Context(), location, o, d)
	if e, ok := errors.AsType[*store.StateError](err); ok && e.Err == store.ErrExists && t.brokeOff(location, o) {
		e.Hint = "a restore of this issuer filled it and nothing has worked with it since; if that restore broke off, its owner runs `" + dropRestored +
			"`, then give the command again"
	}
	return explainStore(err)
}

// dropRestored takes away what a restore into PostgreSQL has filled.
const dropRestored = "DROP SCHEMA IF EXISTS sanad, sanad_desk CASCADE"

// brokeOff reports whether the database at a location is one of this issuer that takes no
// work, as a restore leaves it whose directory is not in its place.
func (t *restoreTarget) brokeOff(location string, o store.Options) bool {
	if !store.IsPostgres(location) {
		return false
	}
	o.ReadOnly = true
	db, err := store.Open(t.cmd.Context(), location, o)
	if err != nil {
		return false
	}
	return db.Close() == nil && db.Fenced() == store.FenceRestored
}

// keep puts files into a folder of this name.
func (t *restoreTarget) keep(name string) func([]backup.File) error {
	return func(files []backup.File) error {
		folder := filepath.Join(t.dir, name)
		if err := os.Mkdir(folder, 0o755); err != nil {
			return err
		}
		for _, f := range files {
			if err := durable.Create(filepath.Join(folder, f.Name), f.Content, 0o644); err != nil {
				return err
			}
		}
		return durable.Sync(folder)
	}
}

// keepDesk keeps the tables of the console until it is known whose they are.
func (t *restoreTarget) keepDesk(d people.Dump) (err error) {
	t.from = d.Schema
	if t.spool, err = os.MkdirTemp(t.dir, "desk-"); err != nil {
		return err
	}
	for {
		table, rows, err := d.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		f, err := os.OpenFile(t.rows(len(t.desk)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, rows)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		t.desk = append(t.desk, table)
	}
}

func (t *restoreTarget) rows(i int) string { return filepath.Join(t.spool, strconv.Itoa(i)) }

// loadDesk fills the console's database, beside the store.
func (t *restoreTarget) loadDesk() (err error) {
	if t.spool == "" {
		return nil
	}
	location, o := t.cfg.Console.Desk, people.Options{}
	if store.IsPostgres(location) {
		if o.ServiceRole, err = store.PostgresRole(t.cfg.Store); err != nil {
			return err
		}
		location = cmp.Or(t.cfg.StoreOwner, location)
		if o.Password, err = readSecret(cmp.Or(t.cfg.StoreOwnerPasswordFile, t.cfg.StorePasswordFile)); err != nil {
			return err
		}
	}
	var open *os.File
	defer func() { _ = open.Close() }() // only read; closing none is an error that says nothing
	i := -1
	err = people.Load(t.cmd.Context(), location, o, people.Dump{Schema: t.from, Next: func() (people.Table, io.Reader, error) {
		_ = open.Close() // only read
		if i++; i == len(t.desk) {
			return people.Table{}, nil, io.EOF
		}
		var err error
		open, err = os.Open(t.rows(i))
		return t.desk[i], open, err
	}}, t.p.Now())
	if errors.Is(err, people.ErrExists) {
		return cli.Hint(err, "the schema sanad_desk is in use already; restore into another database or, if it is of a restore that broke off, drop it")
	}
	return errors.Join(err, os.RemoveAll(t.spool))
}

// withoutDesk takes the place of the console's database out of the settings: it is beside
// the store again.
func withoutDesk(text []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	m := doc.Content[0] // movedSettings has looked
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value != "console" || m.Content[i+1].Kind != yaml.MappingNode {
			continue
		}
		for c, k := m.Content[i+1], 0; k+1 < len(c.Content); k += 2 {
			if c.Content[k].Value == "desk" {
				c.Content = append(c.Content[:k], c.Content[k+2:]...)
				return writeYAML(&doc)
			}
		}
	}
	return text, nil
}

func writeYAML(doc *yaml.Node) ([]byte, error) {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(doc), enc.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// movedSettings changes top-level keys of a settings file and leaves everything
// else, comments too. An empty value takes the key out.
func movedSettings(text []byte, values map[string]string) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("no settings")
	}
	m := doc.Content[0]
	seen := map[string]bool{}
	for i := 0; i+1 < len(m.Content); {
		key := m.Content[i].Value
		v, ours := values[key]
		seen[key] = true
		switch {
		case ours && v == "":
			m.Content = append(m.Content[:i], m.Content[i+2:]...)
			continue
		case ours:
			m.Content[i+1].SetString(v)
		}
		i += 2
	}
	for key, v := range values {
		if !seen[key] && v != "" {
			m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, &yaml.Node{Kind: yaml.ScalarNode, Value: v})
		}
	}
	return writeYAML(&doc)
}
