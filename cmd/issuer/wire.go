package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/keys/chain"
	"github.com/sanad-id/sanad/programme"
	"github.com/sanad-id/sanad/store"
)

// access says what a command does with the issuer.
type access int

const (
	// readOnly looks, also beside a process that writes.
	readOnly access = iota
	// readWrite changes something. Leftovers of a crash are revoked first.
	readWrite
	// writeOnly is readWrite that leaves such leftovers for later.
	writeOnly
)

// app is an open issuer: settings, keys, store and the service over them.
type app struct {
	cfg     Config
	dir     string
	keys    *keys.File
	store   *store.DB
	journal *audit.Journal // nil if there is none, or it is not needed
	service *issuance.Service
	actor   string // the account that acts, for the audit log
	sources []io.Closer
	now     func() time.Time
	watch   *watch
}

// settings is the path of the settings file.
func (p *program) settings() string {
	return cmp.Or(p.config, filepath.Join(p.dir, settingsName))
}

// open reads the settings and opens what they name. It creates nothing.
func (p *program) open(cmd *cobra.Command, what access) (*app, error) {
	cfg, ks, err := p.openSettings(cmd)
	if err != nil {
		return nil, err
	}
	return p.openOffice(cmd, cfg, ks, what)
}

// openSettings reads the settings and opens the keystore.
func (p *program) openSettings(cmd *cobra.Command) (Config, *keys.File, error) {
	cfg, err := readConfig(p.settings())
	if err != nil {
		return Config{}, nil, err
	}
	passphrase, err := readPassphrase(cmd, cfg.KeyPassphraseFile, "Passphrase of the keystore")
	if err != nil {
		return Config{}, nil, err
	}
	ks, err := keys.OpenFile(cfg.Keystore, passphrase)
	return cfg, ks, explainKeystore(err)
}

// openOffice opens journal and database. Beside a server it waits for a moment in which
// that does not need the database file.
func (p *program) openOffice(cmd *cobra.Command, cfg Config, ks *keys.File, what access) (*app, error) {
	journal, err := openJournal(cfg, what)
	if err != nil {
		return nil, err
	}
	db, err := cfg.openStore(cmd.Context(), ks, p.Now, journal, what == readOnly)
	for end := time.Now().Add(lockPatience); errors.Is(err, store.ErrInUse) && time.Now().Before(end) && cmd.Context().Err() == nil; {
		sleep(cmd.Context(), 100*time.Millisecond)
		db, err = cfg.openStore(cmd.Context(), ks, p.Now, journal, what == readOnly)
	}
	if err != nil {
		return nil, errors.Join(err, closeJournal(journal))
	}
	a, err := p.assemble(cfg, filepath.Dir(p.settings()), ks, db)
	if err != nil {
		return nil, errors.Join(err, db.Close(), closeJournal(journal))
	}
	a.journal = journal
	if what == readWrite {
		if err := a.sweep(cmd); err != nil {
			return nil, errors.Join(err, db.Close(), closeJournal(journal))
		}
	}
	return a, nil
}

// lockPatience is how long a command waits for a database file that another process
// has open.
var lockPatience = 3 * time.Second

// openJournal opens the journal that the settings name, for whoever changes
// something. It makes none: the folder may be on a disk that is not there.
func openJournal(cfg Config, what access) (*audit.Journal, error) {
	if cfg.Journal == "" || what == readOnly {
		return nil, nil
	}
	j, err := audit.OpenJournal(cfg.Journal)
	return j, explainLostJournal(err)
}

// explainLostJournal adds to an error of the journal that the settings name what a person can do.
func explainLostJournal(err error) error {
	if errors.Is(err, audit.ErrNoJournal) {
		return cli.Hint(err, "is its disk there? `issuer audit journal --create` makes a new one")
	}
	return cli.Hint(err, "nothing is changed without the journal; keep its folder under another name, and `issuer audit journal --create` begins a new one "+
		"(\"The audit log and its witnesses\" in docs/operating.md)")
}

func closeJournal(j *audit.Journal) error {
	if j == nil {
		return nil
	}
	return j.Close()
}

// instance names the issuer in its database, keystore included: with the keys of
// another one, slots would be given out twice and records get other pseudonyms.
func instance(cfg Config, ks *keys.File) string { return cfg.Issuer.ID + " " + ks.Identity() }

// office is an action that starts with opening the issuer.
func (p *program) office(what access, f func(cmd *cobra.Command, a *app, args []string) error) func(*cobra.Command, []string) error {
	return p.Action(func(cmd *cobra.Command, args []string) error {
		a, err := p.open(cmd, what)
		if err != nil {
			return err
		}
		defer a.close()
		return f(cmd, a, args)
	})
}

// Action is that of [cli.Program], which says besides what a person can do about damaged
// pages, missing rights and full disks that an action met.
func (p *program) Action(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return p.Program.Action(func(cmd *cobra.Command, args []string) error { return explainWork(f(cmd, args)) })
}

// assemble joins the parts of an issuer.
func (p *program) assemble(cfg Config, dir string, ks *keys.File, db *store.DB) (*app, error) {
	a := &app{cfg: cfg, dir: dir, keys: ks, store: db, actor: account(), now: p.Now, watch: &p.watch}
	var err error
	a.service, err = issuance.New(issuance.Config{
		Issuer: cfg.Issuer.ID, URL: strings.TrimSuffix(cfg.Issuer.URL, "/"), StatusBase: cfg.statusBase(), Store: db, Queue: db, Keys: ks, Secret: ks.Secret, Fits: fits, Now: p.Now,
		Crash: crash, MayIssue: a.mayIssue, Chain: a.chain,
	})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// chain is the certificate chain of a key, if it has a good one.
func (a *app) chain(id keys.ID) [][]byte {
	return chainOf(a.keys, a.chains(), id, a.now())
}

func chainOf(ks *keys.File, folder chain.Folder, id keys.ID, now time.Time) [][]byte {
	all, err := ks.Keys(context.Background())
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(all, func(k keys.Key) bool { return k.ID() == id })
	if i < 0 {
		return nil
	}
	x5c, err := folder.Chain(all[i].Public, now)
	if err != nil {
		return nil // nobody signs with a chain that has expired; wallets then find the key by the issuer's URL
	}
	return x5c
}

// close gives the database free. What was stored is stored; an error here
// changes nothing for whoever reads the result.
func (a *app) close() {
	for _, s := range a.sources {
		_ = s.Close()
	}
	_ = errors.Join(a.store.Close(), closeJournal(a.journal))
}

// sweep revokes what an earlier crash left unfinished and says so.
func (a *app) sweep(cmd *cobra.Command) error {
	swept, err := a.service.Sweep(cmd.Context())
	if len(swept) > 0 {
		cli.Say(cmd, "an interrupted run left %d credentials unfinished; they are revoked now", len(swept))
	}
	return err
}

// programme is the programme of this name in its newest version.
func (a *app) programme(cmd *cobra.Command, id string) (*programme.Programme, error) {
	prog, err := a.service.Programme(cmd.Context(), id, 0)
	if errors.Is(err, issuance.ErrNoProgramme) {
		return nil, cli.Hint(err, "`issuer programme list` shows those in use; `issuer programme add FILE` takes another into use")
	}
	return prog, err
}

// keySpec is the next key of a purpose as the settings want it.
func (a *app) keySpec(p keys.Purpose) keys.Spec {
	return a.cfg.keySpec(p, time.Time{})
}

// keySpec is a key of a purpose; credential keys live as the settings say, the
// others as package keys thinks right.
func (c *Config) keySpec(p keys.Purpose, now time.Time) keys.Spec {
	spec := keys.Spec{Purpose: p, Created: now}
	if p == keys.Credential && !now.IsZero() {
		spec.SignUntil = now.Add(time.Duration(c.Keys.SignFor))
		spec.VerifyUntil = now.Add(time.Duration(c.Keys.VerifyFor))
	}
	return spec
}

// statusBase is what the number of a status list is appended to.
func (c *Config) statusBase() string { return strings.TrimSuffix(c.Issuer.URL, "/") + "/status/" }

// formByName finds a form of a programme.
type formByName = func(name string) (programme.Form, bool)

// fits holds a code to the size that its form may print.
func fits(f programme.Form, characters int) error {
	if v, ok := f.Version(characters); !ok {
		if v == 0 {
			return fmt.Errorf("%d characters need a code that is larger than any that is printed", characters)
		}
		return fmt.Errorf("%d characters need a code of version %d, the form allows %d", characters, v, f.MaxVersion)
	}
	return nil
}

// account is the account that runs the program.
func account() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid-%d", os.Getuid())
}

// explainStore adds to an error of the store what a person can do.
func explainStore(err error) error {
	if e, ok := errors.AsType[*store.StateError](err); ok && e.Hint != "" {
		return cli.Hint(err, "%s", e.Hint)
	}
	return err
}

// explainWork adds what a person can do to an error about damaged pages, a right that is not
// there or a full disk, if that was met in the middle of work.
func explainWork(err error) error {
	_, told := errors.AsType[*store.StateError](err)
	switch {
	case told || cli.Hinted(err):
	case errors.Is(err, store.ErrCorrupt):
		return cli.Hint(err, "stop work and run `issuer fsck`, which says what is damaged and what to do")
	case errors.Is(err, store.ErrDenied):
		return cli.Hint(err, "rights of the database's role come from `issuer migrate`, run with store_owner in the settings")
	case full(err):
		return cli.Hint(err, "make room on the disk, then give the same command again")
	}
	return err
}

// full reports whether an error is about a disk without space, of the database or of files.
func full(err error) bool {
	return errors.Is(err, store.ErrNoSpace) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// explainKeystore adds to an error of the keystore what a person can do.
func explainKeystore(err error) error {
	switch {
	case errors.Is(err, keys.ErrPassphrase):
		return cli.Hint(err, "the keystore is whole; check key_passphrase_file in the settings")
	case errors.Is(err, keys.ErrFileMode):
		return cli.Hint(err, "chmod 600 it, and find out who could have read it")
	case errors.Is(err, keys.ErrNoFile):
		return cli.Hint(err, "restore it from the backup, or check keystore in the settings; without it nothing can be signed")
	case errors.Is(err, keys.ErrTruncatedFile), errors.Is(err, keys.ErrForeignFile):
		return cli.Hint(err, "restore it from the backup")
	}
	return err
}
