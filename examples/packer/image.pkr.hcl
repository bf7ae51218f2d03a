# An image with Python 3.13, by Packer's Ansible provisioner. The machine that becomes the image needs no Python, and gets no Ansible.
#
#     packer init .
#     packer build -var host=192.0.2.10 .
#
# The source is a machine that is there already, so that this can be tried anywhere: have your builder in its place.

variable "host" {
  type = string
}

variable "port" {
  type    = number
  default = 22
}

variable "user" {
  type    = string
  default = "root"
}

variable "key" {
  type    = string
  default = "~/.ssh/id_ed25519"
}

source "null" "machine" {
  communicator         = "ssh"
  ssh_host             = var.host
  ssh_port             = var.port
  ssh_username         = var.user
  ssh_private_key_file = var.key
}

build {
  sources = ["source.null.machine"]

  provisioner "ansible" {
    playbook_file = "./playbook.yml"
    user          = var.user
    # Ansible connects by itself, with what it has been told of SSH; Packer's own server in between is for machines without one.
    use_proxy = false
    # No Python is looked for on the machine.
    extra_arguments = ["--extra-vars", "ansible_python_interpreter=/nonexistent"]
    ansible_env_vars = ["ANSIBLE_HOST_KEY_CHECKING=False"]
  }

  provisioner "shell" {
    inline = ["python3.13 -c 'import ssl, sqlite3, sys; print(sys.version)'"]
  }
}
