//! Finding the program in the container, and becoming it.

use crate::fail::{escape, failed};
use berth_wire::oci::Process;
use berth_wire::{Code, Failure};
use rustix::fs::{Access, AtFlags, CWD, FileType};
use rustix::io::Errno;
use std::ffi::CString;

/// Where programs are looked for when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that was found, with all that exec needs.
#[derive(Debug, Default)]
pub(crate) struct Program {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

/// Finds `args[0]` as the user of the process: as a path when it holds a slash, else along PATH.
pub(crate) fn find(process: &Process, secrets: &[CString]) -> Result<Program, Failure> {
    let name = process.args.first().map(String::as_str).unwrap_or_default();
    let path = if name.contains('/') {
        one(name)?
    } else {
        along_path(name, search_path(process))?
    };
    Ok(Program {
        path: text(&path)?,
        arguments: texts(&process.args)?,
        environment: environment(process, secrets)?,
    })
}

/// Becomes the program; returns only with the failure.
pub(crate) fn exec(program: &Program, process: &Process) -> Failure {
    let error = berth_sys::process::execve(&program.path, &program.arguments, &program.environment);
    let name = process.args.first().map(String::as_str).unwrap_or_default();
    match error {
        Errno::NOENT | Errno::NOTDIR => {
            let message = "the file is there, but the interpreter or loader that it names is not in the image";
            Failure::new(Code::CommandNotFound, "exec", message)
                .errno("ENOENT")
                .subject(escape(name))
        }
        Errno::NOEXEC => not_executable(
            name,
            error,
            "exec format error: the file is no program of this machine, and does not begin with #!",
        ),
        Errno::ACCESS | Errno::PERM | Errno::TXTBSY | Errno::LOOP => not_executable(name, error, &berth_sys::errno::text(error)),
        error => failed("exec")(error).subject(escape(name)),
    }
}

/// The variables of the process; a secret takes the place of one of the same name.
fn environment(process: &Process, secrets: &[CString]) -> Result<Vec<CString>, Failure> {
    let name = |variable: &[u8]| variable.split(|byte| *byte == b'=').next().map(<[u8]>::to_vec);
    let taken: Vec<_> = secrets.iter().map(|secret| name(secret.to_bytes())).collect();
    let mut all = texts(&process.env)?;
    all.retain(|variable| !taken.contains(&name(variable.to_bytes())));
    all.extend_from_slice(secrets);
    Ok(all)
}

fn search_path(process: &Process) -> &str {
    process
        .env
        .iter()
        .rev()
        .find_map(|variable| variable.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH)
}

fn one(path: &str) -> Result<String, Failure> {
    match executable(path) {
        Ok(()) => Ok(path.to_owned()),
        Err(Errno::NOENT | Errno::NOTDIR) => Err(not_found(path, "no such file or directory")),
        Err(error) => Err(not_executable(path, error, &berth_sys::errno::text(error))),
    }
}

fn along_path(name: &str, path: &str) -> Result<String, Failure> {
    if name.is_empty() {
        return Err(not_found(name, "the command is empty"));
    }
    let mut refused = None;
    for folder in path.split(':') {
        let candidate = if folder.is_empty() {
            format!("./{name}")
        } else {
            format!("{folder}/{name}")
        };
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error @ (Errno::ACCESS | Errno::ISDIR)) => refused = refused.or(Some((candidate, error))),
            Err(_) => {}
        }
    }
    match refused {
        Some((candidate, Errno::ACCESS)) => Err(not_executable(&candidate, Errno::ACCESS, "permission denied")),
        _ => Err(not_found(name, "executable file not found in $PATH")),
    }
}

fn executable(path: &str) -> Result<(), Errno> {
    let stat = rustix::fs::stat(path)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Err(Errno::ISDIR),
        FileType::RegularFile => rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::empty()),
        _ => Err(Errno::ACCESS),
    }
}

fn not_found(name: &str, message: &str) -> Failure {
    Failure::new(Code::CommandNotFound, "exec", message)
        .errno("ENOENT")
        .subject(escape(name))
}

fn not_executable(name: &str, error: Errno, message: &str) -> Failure {
    Failure::new(Code::CommandNotExecutable, "exec", message)
        .errno(berth_sys::errno::name(error))
        .subject(escape(name))
}

fn texts(strings: &[String]) -> Result<Vec<CString>, Failure> {
    strings.iter().map(|string| text(string)).collect()
}

fn text(string: &str) -> Result<CString, Failure> {
    CString::new(string).map_err(|_| failed("exec")(Errno::INVAL).subject(escape(string)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(arguments: &[&str], environment: &[&str]) -> Process {
        Process {
            args: arguments.iter().map(|&text| text.to_owned()).collect(),
            env: environment.iter().map(|&text| text.to_owned()).collect(),
            cwd: "/".into(),
            ..Process::default()
        }
    }

    #[test]
    fn finds_a_program_along_the_given_path_only() {
        assert!(find(&process(&["sh"], &["PATH=/bin:/usr/bin"]), &[]).is_ok());
        let failure = find(&process(&["sh"], &["PATH=/proc"]), &[]).unwrap_err();
        assert_eq!(failure.code, Code::CommandNotFound);
        assert!(failure.message.contains("$PATH"));
    }

    #[test]
    fn a_file_that_is_no_program_is_not_executable() {
        assert_eq!(
            find(&process(&["/etc/passwd"], &[]), &[]).unwrap_err().code,
            Code::CommandNotExecutable
        );
        assert_eq!(find(&process(&["/etc"], &[]), &[]).unwrap_err().code, Code::CommandNotExecutable);
        assert_eq!(find(&process(&["/nowhere/x"], &[]), &[]).unwrap_err().code, Code::CommandNotFound);
    }

    #[test]
    fn a_secret_takes_the_place_of_a_variable() {
        let secrets = [CString::new("TOKEN=s3cret").unwrap()];
        let all = environment(&process(&["x"], &["TOKEN=old", "TOKENS=kept", "A=b"]), &secrets).unwrap();
        assert_eq!(all, [c"TOKENS=kept", c"A=b", c"TOKEN=s3cret"].map(ToOwned::to_owned));
    }

    #[test]
    fn the_last_path_of_the_environment_counts() {
        assert_eq!(search_path(&process(&["x"], &["PATH=/a", "PATH=/b"])), "/b");
        assert_eq!(search_path(&process(&["x"], &[])), DEFAULT_PATH);
    }
}
