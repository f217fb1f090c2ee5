package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"golang.org/x/text/unicode/norm"

	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
	"github.com/sanad-id/sanad/store"
)

// Names of the files that init makes in the issuer's directory.
const (
	settingsName   = "issuer.yaml"
	storeName      = "issuer.db"
	onceName       = "once.db"
	deskName       = "desk.db"
	keystoreName   = "keystore.sanad"
	passphraseName = "secrets/passphrase"
	rootsName      = "roots"
	journalName    = "journal"
	trustName      = "trust"
)

// initOptions are the flags of init.
type initOptions struct {
	name, country, url, id string
	passphraseFile         string
	ask                    bool
	withoutRoot            bool
	roots, threshold       int
	store, owner           string
	storePassword          string
	ownerPassword          string
}

func (p *program) initCommand() *cobra.Command {
	var o initOptions
	c := &cobra.Command{
		Use: "init DIR --name NAME --country CC", Short: "Make a new issuer in a directory", Args: cobra.ExactArgs(1),
		Long: `Makes a directory with everything a pilot needs: settings, encrypted signing keys, a database, the root keys and the first trust bundle.

The passphrase of the keystore is made up and written to ` + passphraseName + ` (mode 0600), unless --passphrase-file names one of yours or
--ask-passphrase asks for it on the terminal and stores none. Root keys are in files of their own under ` + rootsName + `/: take them off the
machine.

--store postgres://ROLE@HOST/DATABASE?sslmode=verify-full keeps everything in a PostgreSQL database that is there already, so that several
machines can issue at once. --store-owner names the same database as the role that shall own the tables; the role in --store then gets only
what issuing needs, and cannot undo a revocation.

--url is the public address under which status lists will stand. It is part of every credential and can never be changed for those issued. Checks
without a network do not need it; without --url an address is used that can never exist.`,
		Example: `  issuer init office --name "Civil Registry" --country XA --url https://registry.gov.xa
  issuer init office --name "Civil Registry" --country XA --root-keys 3 --root-threshold 2
  issuer init office --name "Civil Registry" --country XA --store postgres://sanad@/registry?host=/run/postgresql \
      --store-owner postgres://sanad_owner@/registry?host=/run/postgresql
  issuer init ministry --name "Ministry of Agriculture" --country XA --without-root   # joins the root of another office`,
		RunE: p.Action(func(cmd *cobra.Command, args []string) error { return p.initDir(cmd, args[0], o) }),
	}
	f := c.Flags()
	f.StringVar(&o.name, "name", "", "the issuer's name in English, as people will read it (required)")
	f.StringVar(&o.country, "country", "", "ISO 3166 code of two letters (required)")
	f.StringVar(&o.url, "url", "", "https address at which wallets and verifiers will reach this issuer; http://127.0.0.1:PORT for trials on this machine")
	f.StringVar(&o.id, "id", "", "short name that stands in every credential (default: made from country and name)")
	f.StringVar(&o.passphraseFile, "passphrase-file", "", "take the keystore's passphrase from `FILE`")
	f.BoolVar(&o.ask, "ask-passphrase", false, "ask for the keystore's passphrase and do not store it")
	f.BoolVar(&o.withoutRoot, "without-root", false, "make no root keys: another office publishes the trust bundle")
	f.StringVar(&o.store, "store", "", "keep everything in this PostgreSQL database (default: a file in DIR)")
	f.StringVar(&o.owner, "store-owner", "", "the same database as the role that shall own the tables")
	f.StringVar(&o.storePassword, "store-password-file", "", "take the password of the role in --store from `FILE`")
	f.StringVar(&o.ownerPassword, "store-owner-password-file", "", "take the password of the role in --store-owner from `FILE`")
	f.IntVar(&o.roots, "root-keys", 1, "how many root keys to make")
	f.IntVar(&o.threshold, "root-threshold", 1, "how many of them must sign a new root")
	_ = c.MarkFlagRequired("name")
	_ = c.MarkFlagRequired("country")
	c.MarkFlagsMutuallyExclusive("passphrase-file", "ask-passphrase")
	return c
}

// initDir makes the directory under another name and moves it into place when
// it is complete, so that a crash leaves no half-made issuer behind.
func (p *program) initDir(cmd *cobra.Command, dir string, o initOptions) (err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		return cli.Hint(fmt.Errorf("%s is not an empty directory", dir), "name a directory that does not exist yet")
	}
	cfg, err := o.settings()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o700); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".sanad-init-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(temp)
		}
	}()
	fingerprint, err := p.fillDir(cmd, temp, cfg, o)
	if err != nil {
		return err
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(temp, dir); err != nil {
		return err
	}
	return p.initResult(cmd, dir, cfg, o, fingerprint)
}

// fillDir makes everything that an issuer consists of.
func (p *program) fillDir(cmd *cobra.Command, dir string, cfg Config, o initOptions) (fingerprint string, err error) {
	passphrase, err := p.firstPassphrase(cmd, dir, &cfg, o)
	if err != nil {
		return "", err
	}
	if err := writeSettings(dir, cfg); err != nil {
		return "", err
	}
	if cfg, err = readConfig(filepath.Join(dir, settingsName)); err != nil {
		return "", err
	}
	ks, err := keyCost.CreateFile(cfg.Keystore, passphrase, rand.Reader)
	if err != nil {
		return "", err
	}
	if err := audit.CreateJournal(cfg.Journal); err != nil {
		return "", err
	}
	journal, err := openJournal(cfg, readWrite)
	if err != nil {
		return "", err
	}
	db, err := cfg.createStore(cmd.Context(), ks, p.Now, journal)
	if err != nil {
		return "", errors.Join(err, closeJournal(journal))
	}
	if store.IsPostgres(cfg.Store) {
		defer func() {
			if err != nil { // a file goes with the folder
				err = cli.Hint(err, "the database has been made already: drop its schema sanad before you try again")
			}
		}()
	}
	a, err := p.assemble(cfg, dir, ks, db)
	if err != nil {
		return "", errors.Join(err, db.Close(), closeJournal(journal))
	}
	a.journal = journal
	defer a.close()
	if err := db.Write(cmd.Context(), func(tx issuance.Tx) error {
		return tx.Append([]audit.Event{{Time: p.Now(), Kind: audit.IssuerCreated, Actor: a.actor, Detail: "issuer " + cfg.Issuer.ID}})
	}); err != nil {
		return "", err
	}
	for _, purpose := range []keys.Purpose{keys.Audit, keys.TrustBundle, keys.StatusList, keys.Backup, keys.Credential} {
		if _, err := a.service.FirstKey(cmd.Context(), cfg.keySpec(purpose, p.Now()), a.actor); err != nil {
			return "", err
		}
	}
	if o.withoutRoot {
		return "", nil
	}
	return a.firstTrust(cmd, o.roots, o.threshold, p.Now())
}

var notInID = regexp.MustCompile(`[^a-z0-9]+`)

// shortName is the country and as many words of the name as fit a short id: it
// stands in every code. Letters lose their accents.
func shortName(country, name string) string {
	id := strings.ToLower(country)
	bare := strings.Map(func(r rune) rune { // ç is c and a mark
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(name))
	for word := range strings.FieldsSeq(notInID.ReplaceAllString(strings.ToLower(bare), " ")) {
		if len(id)+1+len(word) > 20 && id != strings.ToLower(country) {
			break
		}
		id += "-" + word
	}
	return id[:min(len(id), 32)]
}

// settings are those of the flags.
func (o initOptions) settings() (Config, error) {
	if o.id == "" {
		o.id = shortName(o.country, o.name)
	}
	if o.url == "" {
		o.url = "https://" + o.id + ".invalid"
	}
	if o.roots < 1 || o.threshold < 1 || o.threshold > o.roots {
		return Config{}, errors.New("--root-threshold must be between 1 and --root-keys")
	}
	cfg := Config{
		Issuer: IssuerConfig{ID: o.id, Names: map[string]string{"en": o.name}, Country: o.country, URL: o.url},
		Store:  cmp.Or(o.store, storeName), StoreOwner: o.owner, Keystore: keystoreName,
		Journal: journalName, Audit: AuditConfig{WithoutWitness: true},
	}
	if o.store != "" && !store.IsPostgres(o.store) {
		return Config{}, cli.Hint(fmt.Errorf("--store %s is not a postgres:// URL", o.store), "without --store the database is a file in DIR")
	}
	for to, path := range map[*string]string{&cfg.StorePasswordFile: o.storePassword, &cfg.StoreOwnerPasswordFile: o.ownerPassword} {
		if path == "" {
			continue
		}
		var err error
		if *to, err = filepath.Abs(path); err != nil {
			return Config{}, err
		}
	}
	cfg.defaults()
	if err := cfg.check(); err != nil {
		return Config{}, cli.Hint(err, "--id, --name, --country, --url, --store and --store-owner set these")
	}
	return cfg, nil
}

// firstPassphrase is the passphrase of the new keystore, and where it will be
// found.
func (p *program) firstPassphrase(cmd *cobra.Command, dir string, cfg *Config, o initOptions) ([]byte, error) {
	switch {
	case o.ask:
		first, err := askPassphrase(cmd, "New passphrase of the keystore")
		if err != nil {
			return nil, err
		}
		again, err := askPassphrase(cmd, "Again")
		if err == nil && string(first) != string(again) {
			err = errors.New("the two passphrases differ")
		}
		return first, err
	case o.passphraseFile != "":
		path, err := filepath.Abs(o.passphraseFile)
		if err != nil {
			return nil, err
		}
		cfg.KeyPassphraseFile = path
		return readPassphrase(cmd, path, "")
	}
	cfg.KeyPassphraseFile = passphraseName
	return makePassphrase(filepath.Join(dir, passphraseName))
}

// makePassphrase writes 130 bits of randomness as text.
func makePassphrase(path string) ([]byte, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	text := rand.Text()
	return []byte(text), os.WriteFile(path, []byte(text+"\n"), 0o600)
}

// writeSettings writes the settings with a comment on top.
func writeSettings(dir string, cfg Config) error {
	b, err := yaml.Marshal(cfg)
	if err != nil {
		return err
	}
	for before, comment := range map[string]string{
		"journal:": "# The second copy of the audit log. Put it on another disk than the database (move the folder, name it here).\n",
		"    without_witness:": "    # true: credentials are issued although nobody outside this office watches over the audit log. Name a witness\n" +
			"    # (audit.witnesses; `issuer audit witness init` makes one on another machine) and set it to false.\n",
	} {
		b = bytes.Replace(b, []byte("\n"+before), []byte("\n"+comment+before), 1)
	}
	head := "# Settings of this issuer. Every key is explained in issuer.example.yaml of the sources;\n# `issuer config check` tells whether they are right.\n"
	return os.WriteFile(filepath.Join(dir, settingsName), append([]byte(head), b...), 0o600)
}

// initResult says what was made and what comes next.
func (p *program) initResult(cmd *cobra.Command, dir string, cfg Config, o initOptions, fingerprint string) error {
	view := map[string]any{"directory": dir, "issuer": cfg.Issuer.ID, "country": cfg.Issuer.Country, "url": cfg.Issuer.URL}
	if fingerprint != "" {
		view["root_fingerprint"] = fingerprint
	}
	if err := p.Print(cmd, view, func(w io.Writer) {
		fmt.Fprintf(w, "issuer %s is ready in %s\n", cfg.Issuer.ID, dir)
		if fingerprint != "" {
			fmt.Fprintf(w, "root fingerprint  %s\n", fingerprint)
		}
	}); err != nil {
		return err
	}
	if !o.ask && o.passphraseFile == "" {
		cli.Say(cmd, "keep %s out of the backup that holds %s", filepath.Join(dir, passphraseName), keystoreName)
	}
	if fingerprint != "" {
		cli.Say(cmd, "take %s off this machine: whoever has the root keys decides whom verifiers trust", filepath.Join(dir, rootsName))
	}
	if o.url == "" {
		cli.Say(cmd, "status lists have no public address (%s); give --url if they shall ever be online", cfg.Issuer.URL)
	}
	cli.Say(cmd, "next: issuer programme add --dir %s FILE.yaml   (examples/programmes has nine)", dir)
	return nil
}

func (p *program) configCommand() *cobra.Command {
	check := &cobra.Command{
		Use: "check", Short: "Read and validate the settings, keys and database, then stop", Args: cobra.NoArgs,
		Long: `Says what is wrong with the settings, and warns of what will be: keys that end, an audit log without witness or journal, a journal that is away, a
source whose file cannot be read or whose database does not answer, files and programmes that the settings name and that are not there.`,
		Example: "  issuer config check --dir office",
		RunE: p.office(readOnly, func(cmd *cobra.Command, a *app, _ []string) error {
			all, err := a.keys.Keys(cmd.Context())
			if err != nil {
				return err
			}
			var warnings []string
			for _, purpose := range []keys.Purpose{keys.Credential, keys.StatusList, keys.TrustBundle, keys.Audit} {
				k, err := keys.SigningKey(all, purpose, p.Now())
				switch {
				case err != nil:
					warnings = append(warnings, err.Error())
				case k.SignUntil.Sub(p.Now()) < 30*24*time.Hour:
					warnings = append(warnings, fmt.Sprintf("%s ends on %s: `issuer keys rotate --purpose %s`", k, date(k.SignUntil), string(purpose)))
				}
			}
			chains, err := a.chainWarnings(all)
			if err != nil {
				return err
			}
			warnings = append(warnings, chains...)
			about, err := a.store.About(cmd.Context())
			if err != nil {
				return err
			}
			warnings = append(warnings, about.Warnings...)
			debt, err := a.debt(cmd.Context())
			if err != nil {
				return err
			}
			if debt.Since != nil || debt.Without || debt.Witnesses == 0 || len(debt.Objections) > 0 {
				warnings = append(warnings, debt.String())
			}
			if slow := tooSlow("serve.publish_every", time.Duration(a.cfg.Serve.PublishEvery)); slow != "" {
				warnings = append(warnings, slow)
			}
			if why := a.store.Fenced(); why != "" {
				warnings = append(warnings, fmt.Sprintf("this issuer takes no work (%s): `issuer fsck`, then `issuer restore confirm`", why))
			}
			if a.cfg.Journal == "" {
				warnings = append(warnings, "there is no journal: a restored backup will not know what was revoked since (journal: FOLDER)")
			}
			cards, err := a.cardWarning(cmd.Context())
			if err != nil {
				return err
			}
			if cards != "" {
				warnings = append(warnings, cards)
			}
			wallets, err := a.walletWarnings(cmd.Context(), all)
			if err != nil {
				return err
			}
			warnings = append(warnings, wallets...)
			parts, err := a.partWarnings(cmd.Context())
			if err != nil {
				return err
			}
			warnings = append(warnings, parts...)
			if err := p.serveFault(a.cfg, a.keys); err != nil {
				warnings = append(warnings, fmt.Sprintf("`issuer serve` would not begin here: %v", err))
			}
			sources, err := a.sourceWarnings(cmd.Context())
			if err != nil {
				return err
			}
			warnings = append(warnings, sources...)
			view := map[string]any{
				"ok": true, "issuer": a.cfg.Issuer.ID, "store": about.Engine, "warnings": warnings, "journal": a.cfg.Journal, "audit": debt,
			}
			return p.Print(cmd, view, func(w io.Writer) {
				fmt.Fprintf(w, "%s: settings, keystore and database of %s are in order\n", p.settings(), a.cfg.Issuer.ID)
				fmt.Fprintf(w, "database: %s, %s\n", about.Engine, a.store.Path())
				for _, s := range warnings {
					fmt.Fprintln(w, "warning: "+s)
				}
			})
		}),
	}
	return cli.Group("config", "Work with the settings file", "The settings are in issuer.yaml of the issuer's directory; cmd/issuer/issuer.example.yaml explains every key.", check)
}
