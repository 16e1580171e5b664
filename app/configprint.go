package app

import (
	"fmt"
	"io"
	"strings"
)

// Print writes the configuration as a commented file that reads back as the
// same configuration.
func (c *Config) Print(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Vigie. Every key is written with its default; a file needs only what differs.\n\n")
	all := c.settings()
	table := ""
	for i := 0; i < len(all); i++ {
		s := all[i]
		section, rest, nested := strings.Cut(s.key, ".")
		if !nested {
			rest = section
		} else if section != table {
			table = section
			fmt.Fprintf(&b, "\n# %s\n[%s]\n", sections[section], section)
		}
		comment(&b, s.comment)
		name, item, inline := strings.Cut(rest, ".")
		if !inline {
			fmt.Fprintf(&b, "%s = %s\n", rest, s.value)
			continue
		}
		items := []string{item + " = " + s.value.String()}
		for ; i+1 < len(all) && strings.HasPrefix(all[i+1].key, section+"."+name+"."); i++ {
			next := all[i+1]
			items = append(items, strings.TrimPrefix(next.key, section+"."+name+".")+" = "+next.value.String())
		}
		fmt.Fprintf(&b, "%s = { %s }\n", name, strings.Join(items, ", "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func comment(b *strings.Builder, text string) {
	if text == "" {
		return
	}
	for line := range strings.Lines(text) {
		b.WriteString("# " + strings.TrimSuffix(line, "\n") + "\n")
	}
}
