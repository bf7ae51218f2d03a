# From Packer 1.7 on plugins are named; 1.6 has the one for Ansible in it and doesn't know this block.
packer {
  required_plugins {
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.1.0"
    }
  }
}
