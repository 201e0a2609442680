//! What every page of the console has around it: where one is, who is logged in, the style sheet, and the forms through
//! which changes are asked for.
//!
//! Addresses of pages are written without the path prefix and get it from [`Frame::href`], forms from [`Frame::form`], which
//! adds what proves that the form is ours and asks for a reason. A visitor who may not change anything is shown no form.

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
};
use maud::{DOCTYPE, Markup, html};

use super::{assets, section::Section};
use crate::domain::console_access::Role;

/// What the script is told before it starts: the policy of the pages lets it add no style and evaluate nothing.
const SCRIPT_SETTINGS: &str = r#"{"includeIndicatorStyles":false,"allowEval":false,"selfRequestsOnly":true}"#;

/// Who looks at a page.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// As it stands in the history of what operators did.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

/// What a page needs to know besides its own content. Handlers take it as an argument.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Who looks.
    pub visitor: Visitor,
    /// What proves that a form is ours.
    pub csrf: String,
    /// The path prefix: empty, or such as `/billing`.
    pub base: String,
    /// Where one is; `None` is outside of all sections.
    pub section: Option<Section>,
    /// Whether there is a session to end.
    pub can_log_out: bool,
    /// Whether the demo's own pages are beside ours.
    pub is_demo: bool,
}

impl Frame {
    /// Returns the address of a page: its path and query behind the prefix.
    pub fn href(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Tells whether the visitor may change what is worked on.
    pub fn may_act(&self) -> bool {
        self.visitor.role.may(Role::Operator)
    }

    /// Makes a form that asks for a change and why; nothing for who may not.
    pub fn form(&self, action: &str, fields: Markup, button: &str) -> Markup {
        self.form_of(action, fields, button, "act")
    }

    /// Makes a form as [`Frame::form`] does, for a change that takes something away.
    pub fn form_to_end(&self, action: &str, fields: Markup, button: &str) -> Markup {
        self.form_of(action, fields, button, "act end")
    }

    #[expect(clippy::needless_pass_by_value, reason = "a form takes over what it shows")]
    fn form_of(&self, action: &str, fields: Markup, button: &str, class: &str) -> Markup {
        html! {
            @if self.may_act() {
                form class=(class) method="post" action=(self.href(action)) {
                    (self.proof())
                    (fields)
                    label { "Reason" input name="reason" required maxlength="500" autocomplete="off"; }
                    button type="submit" { (button) }
                }
            }
        }
    }

    /// Makes the hidden field without which no form is taken.
    pub fn proof(&self) -> Markup {
        html! { input type="hidden" name="csrf" value=(self.csrf); }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Frame {
    type Rejection = StatusCode;

    /// Takes the frame that the guard of all pages made.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Makes a whole page.
#[expect(clippy::needless_pass_by_value, reason = "a page takes over what it shows")]
pub fn page(frame: &Frame, title: &str, body: Markup) -> Markup {
    let content = html! {
        header.top {
            a.brand href=(frame.href("/")) { "billrunner" }
            (visitor(frame))
        }
        (navigation(frame))
        main id="main" tabindex="-1" {
            h1 { (title) }
            (body)
        }
    };
    document(&frame.base, title, "console", &content)
}

/// Makes a page for who is not logged in: a title, and one thing to do or to know.
#[expect(clippy::needless_pass_by_value, reason = "a page takes over what it shows")]
pub fn bare_page(base: &str, title: &str, body: Markup) -> Markup {
    let content = html! {
        main id="main" tabindex="-1" {
            p.brand { "billrunner" }
            h1 { (title) }
            (body)
        }
    };
    document(base, title, "bare", &content)
}

fn document(base: &str, title: &str, class: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="htmx-config" content=(SCRIPT_SETTINGS);
                title { (title) " · billrunner" }
                link rel="icon" href="data:,";
                link rel="stylesheet" href=(format!("{base}{}", assets::style_path()));
                script src=(format!("{base}{}", assets::script_path())) defer {}
            }
            body class=(class) {
                a.skip href="#main" { "Skip to content" }
                (content)
            }
        }
    }
}

fn visitor(frame: &Frame) -> Markup {
    let Visitor { name, role } = &frame.visitor;
    html! {
        div.visitor {
            span { (name) " " span.role { (role) } }
            @if frame.can_log_out {
                form method="post" action=(frame.href("/logout")) {
                    (frame.proof())
                    button.quiet type="submit" { "Log out" }
                }
            }
        }
    }
}

fn navigation(frame: &Frame) -> Markup {
    html! {
        nav.sections aria-label="Sections" {
            ul {
                @for section in Section::ALL.into_iter().filter(|section| frame.visitor.role.may(section.role())) {
                    li {
                        a href=(frame.href(section.path())) aria-current=[(frame.section == Some(section)).then_some("page")] {
                            (section.title())
                        }
                    }
                }
                @if frame.is_demo { li { a href="/demo" { "Demo" } } }
            }
        }
    }
}
