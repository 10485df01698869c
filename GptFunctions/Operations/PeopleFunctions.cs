using GptFunctions.Hosting;
using GptFunctions.OAuth;
using GptFunctions.Operations.Pages;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;

namespace GptFunctions.Operations;

/// <summary>One person: what is known, and the end of what they have connected.</summary>
internal sealed class PeopleFunctions(OperatorAccess access, PersonService people)
{
    public const string EndSession = "people/end-session";
    public const string EndAll = "people/end-all";

    [Function("OperationsPeople")]
    public Task<IResult> ShowAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "operations/people")] HttpRequest request) =>
        access.ShowAsync(request, ShowAsync);

    [Function("OperationsPeopleEndSession")]
    public Task<IResult> EndSessionAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/people/end-session")] HttpRequest request) =>
        access.ActAsync(request, EndSession, isReasonRequired: true, ShowAsync, async (visit, act, form) =>
        {
            if (!Guid.TryParse(form["session"], out var id) || form["user"] is not { } subject)
            {
                return visit.Problem(StatusCodes.Status400BadRequest, "Nothing was changed", "The form names no session, or no user.");
            }

            return await people.EndAsync(subject, id, act, visit.Occasion) switch
            {
                true => visit.Back(PersonPage.Of(subject), "The session has ended: its app is refused everywhere."),
                false => visit.Back(PersonPage.Of(subject), "Nothing was changed: that session had ended before."),
                null => visit.Problem(
                    StatusCodes.Status409Conflict, "Nothing was changed",
                    $"Session {id} is not one of {OutsideText.Visible(subject)}. Open the person's page again, and do it from there."),
            };
        });

    [Function("OperationsPeopleEndAll")]
    public Task<IResult> EndAllAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/people/end-all")] HttpRequest request) =>
        access.ActAsync(request, EndAll, isReasonRequired: true, ShowAsync, async (visit, act, form) =>
            form["user"] is { } subject && await people.EndAllAsync(subject, act, visit.Occasion) is { } ended
                ? visit.Back(
                    PersonPage.Of(subject),
                    $"{(ended == 1 ? "1 session has" : $"{ended} sessions have")} ended, and every consent is taken back: all apps of this person are refused "
                        + "everywhere.")
                : visit.Problem(StatusCodes.Status404NotFound, "Nothing was changed", "Nobody has this user id."));

    private Task<IResult> ShowAsync(OperatorVisit visit) => visit.Filter("user") is { } subject ? ShowPersonAsync(visit, subject) : SearchAsync(visit);

    private async Task<IResult> SearchAsync(OperatorVisit visit)
    {
        if (visit.Filter("q")?.Trim() is not { Length: > 0 } text)
        {
            return visit.Page<PeoplePage>([]);
        }

        var found = await people.FindAsync(text);
        return found.People is [var only]
            ? new SeeOther(PersonPage.Of(only.Subject))
            : visit.Page<PeoplePage>(new() { [nameof(PeoplePage.People)] = found.People, [nameof(PeoplePage.Orders)] = found.Orders });
    }

    private async Task<IResult> ShowPersonAsync(OperatorVisit visit, string subject)
    {
        Guid? after = Guid.TryParse(visit.Filter("after"), out var id) ? id : null;
        if (await people.ReadAsync(subject, after, visit.Occasion.Now) is not { } file)
        {
            return visit.Problem(
                StatusCodes.Status404NotFound, "Nobody has this user id",
                $"{OutsideText.Visible(subject)} never signed in here, and Clerk told nothing of it.", RefusalReason.UserNotFound);
        }

        return visit.Page<PersonPage>(new()
        {
            [nameof(PersonPage.Profile)] = file.Profile,
            [nameof(PersonPage.Sessions)] = file.Sessions,
            [nameof(PersonPage.Consents)] = file.Consents,
            [nameof(PersonPage.Orders)] = file.Orders,
            [nameof(PersonPage.Webhooks)] = file.Webhooks,
            [nameof(PersonPage.Audit)] = file.Audit,
        });
    }
}
