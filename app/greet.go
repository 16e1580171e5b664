package app

import (
	"cmp"
	"fmt"
)

// greet tells a person, at the first start, the administrator's password and
// what to do next.
func (s *Server) greet() {
	if s.admin == nil || s.options.Output == nil {
		return
	}
	domain, program := s.domains[0], cmp.Or(s.options.Program, "vigie")
	fmt.Fprintf(s.options.Output, `
Made the administrator %s with the password
    %s
It is shown this once; "%[5]s account password %[1]s" changes it.

What next:
    %[5]s account add alice@%[3]s --data %[4]s        an account for a phone
    %[5]s publish alice@%[3]s --activity meeting --data %[4]s
    %[5]s watch alice@%[3]s --data %[4]s
    %[5]s config > vigie.toml                  everything that can be set
`, s.admin.Address, s.admin.Password, domain, s.options.Data, program)
	if s.config.File == "" {
		fmt.Fprintf(s.options.Output, "\nWithout a configuration file, the domains are this machine's names and addresses.\n"+
			"For your own, write a file with   domains = [\"example.com\"]   and give it with --config.\n")
	}
	fmt.Fprintln(s.options.Output)
}
