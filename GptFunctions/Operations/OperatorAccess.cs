using GptFunctions.Audit;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.OAuth;
using GptFunctions.Pages;
using GptFunctions.Pages.Languages;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace GptFunctions.Operations;

/// <summary>
/// The door of <c>/operations</c>: every page and every action goes through it. Whoever is neither operator nor viewer finds nothing there, and so
/// does everybody while nobody is named.
/// </summary>
internal sealed class OperatorAccess(PageSessions sessions, IOptions<OperationsSettings> settings, Occasions occasions)
{
    private const int MaximumBody = 64 * 1024;

    /// <summary>A page, for operators and viewers; who is not signed in is asked to.</summary>
    public Task<IResult> ShowAsync(HttpRequest request, Func<OperatorVisit, Task<IResult>> show) => EnterAsync(request, async visit =>
        visit.Query is null ? visit.Problem(StatusCodes.Status400BadRequest, "This link is broken", "Its parameters cannot be read.") : await show(visit));

    /// <summary>
    /// An action, for operators only: looked at anew, with the form that one of our pages gave to this very session, and with a reason where people
    /// are affected.
    /// </summary>
    /// <param name="action">Its path below <c>/operations/</c>, such as <c>people/end-session</c>: the form's <see cref="OperatorVisit.Csrf"/> has it,
    /// too.</param>
    /// <param name="isReasonRequired">Whether it is refused without a reason.</param>
    /// <param name="show">The page that its form stands on: shown again when a field is wrong.</param>
    public Task<IResult> ActAsync(
        HttpRequest request, string action, bool isReasonRequired, Func<OperatorVisit, Task<IResult>> show,
        Func<OperatorVisit, OperatorAct, FormParameters, Task<IResult>> act) =>
        EnterAsync(request, async visit =>
        {
            if (!visit.MayAct)
            {
                return visit.Problem(
                    StatusCodes.Status403Forbidden, "You may look, and not act", "Ask somebody who is named in OPERATORS.", RefusalReason.OperatorsOnly);
            }

            var parsed = await FormParameters.OfBodyAsync(request, MaximumBody);
            if (parsed.Value is not { } form)
            {
                return visit.Problem(parsed.Error!.Status, "The form could not be read", parsed.Error.Description, parsed.Error.Why.Reason);
            }

            if (!visit.IsCsrf(form["csrf"], action))
            {
                return visit.Problem(
                    StatusCodes.Status403Forbidden, "This form is not of your session",
                    "Nothing was changed. Open the page again, and do it from there.", RefusalReason.NotInProgress);
            }

            var reason = form["reason"]?.Trim();
            var problem = isReasonRequired && string.IsNullOrEmpty(reason) ? "is missing: say why, the audit trail keeps it."
                : OperatorAct.ProblemWithReason(reason);
            return problem is null
                ? await act(visit, new OperatorAct(visit.Person.Subject, string.IsNullOrEmpty(reason) ? null : reason), form)
                : await visit.AskAgainAsync(form, "reason", "The reason " + problem, show);
        });

    private async Task<IResult> EnterAsync(HttpRequest request, Func<OperatorVisit, Task<IResult>> enter)
    {
        var (context, roles, occasion) = (request.HttpContext, settings.Value, occasions.Of(request.HttpContext));
        if (!roles.IsAnybody)
        {
            return NotFound(context);
        }

        if (await sessions.FindAsync(context, occasion) is not { } session)
        {
            return await sessions.SignInAsync(context, request.Path + request.QueryString, occasion);
        }

        Language.Choose(context, Language.English); // these pages are for engineers
        var mayAct = roles.Operators.Contains(session.Person.Subject, StringComparer.Ordinal);
        return mayAct || roles.Viewers.Contains(session.Person.Subject, StringComparer.Ordinal)
            ? await enter(new OperatorVisit(request, session, mayAct, occasion))
            : NotFound(context);
    }

    /// <summary>What a path that does not exist answers, to the byte.</summary>
    private static IResult NotFound(HttpContext context)
    {
        RequestNotes.Of(context).Refuse(new Refusal(RefusalReason.NotFound));
        return Results.NotFound();
    }
}
