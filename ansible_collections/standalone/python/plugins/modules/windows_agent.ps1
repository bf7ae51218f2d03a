#!powershell

# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

#Requires -Version 5.1
#AnsibleRequires -PowerShell ..module_utils.windows_agent

# Ansible's own utilities stay out, as each is loaded or compiled before a module starts. To what checks collections, a module without
# any is none; so what there is to do is in one of ours.
Invoke-Agent $complex_args['command'] $complex_args['input']
