using GptFunctions.Audit;
using GptFunctions.Data;
using GptFunctions.Hosting;
using GptFunctions.OAuth;
using GptFunctions.Operations.Pages;
using GptFunctions.Statistics;
using GptFunctions.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.Options;

namespace GptFunctions.Operations;

/// <summary>The clients: who they are, and what operators do to them.</summary>
internal sealed class AppsFunctions(
    OperatorAccess access, ClientService clients, PersonService people, AuditSearchService audit, StatisticsService statistics,
    IOptions<TokenSettings> settings)
{
    public const string Add = "apps/add";
    public const string Approve = "apps/approve";
    public const string Disable = "apps/disable";
    public const string Enable = "apps/enable";
    public const string RotateSecret = "apps/rotate-secret";
    public const string RetireSecret = "apps/retire-secret";
    private const int ShownEvents = 20;

    [Function("OperationsApps")]
    public Task<IResult> ShowAsync([HttpTrigger(AuthorizationLevel.Anonymous, "get", "head", Route = "operations/apps")] HttpRequest request) =>
        access.ShowAsync(request, ShowAsync);

    /// <summary>Shows the secret in the answer, and never again. The id comes with the form, so that a form sent twice adds one client.</summary>
    [Function("OperationsAppsAdd")]
    public Task<IResult> AddAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/apps/add")] HttpRequest request) =>
        access.ActAsync(request, Add, isReasonRequired: false, ShowAsync, async (visit, act, form) =>
        {
            // The GPT builder's clients send no PKCE; others must.
            string[] gpts = form["gpt"]?.Trim() is { Length: > 0 } gpt ? [gpt] : [];
            string[] uris = form["redirect_uri"]?.Trim() is { Length: > 0 } uri ? [uri] : [];
            var request = new NewClient(form["name"]?.Trim() ?? "", form["id"], IsPublic: false, gpts, uris, [], [], NoPkce: gpts.Length > 0);
            var (issued, problem) = await clients.AddAsync(request, act, visit.Occasion);
            return issued is not null ? Secret(visit, issued.Client, issued.Secret!, "App added")
                : FieldOf(problem!) is { } field ? await visit.AskAgainAsync(form, field, OfPage(problem!), ShowAsync)
                : Refused(visit, problem!);
        });

    [Function("OperationsAppsApprove")]
    public Task<IResult> ApproveAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/apps/approve")] HttpRequest request) =>
        ChangeAsync(
            request, Approve, false, (id, act, occasion) => clients.UpdateAsync(id, new ClientChange(IsApproved: true), act, occasion),
            "The app is approved: people are asked once, and no longer warned.");

    [Function("OperationsAppsDisable")]
    public Task<IResult> DisableAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/apps/disable")] HttpRequest request) =>
        ChangeAsync(
            request, Disable, true, (id, act, occasion) => clients.UpdateAsync(id, new ClientChange(IsDisabled: true), act, occasion),
            "The app is disabled: it is refused everywhere.");

    [Function("OperationsAppsEnable")]
    public Task<IResult> EnableAsync([HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/apps/enable")] HttpRequest request) =>
        ChangeAsync(
            request, Enable, false, (id, act, occasion) => clients.UpdateAsync(id, new ClientChange(IsDisabled: false), act, occasion),
            "The app is enabled again, and so are the sessions that it has.");

    [Function("OperationsAppsRotateSecret")]
    public Task<IResult> RotateSecretAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/apps/rotate-secret")] HttpRequest request) =>
        access.ActAsync(request, RotateSecret, isReasonRequired: false, ShowAsync, async (visit, act, form) =>
        {
            var (secret, problem) = await clients.RotateSecretAsync(form["app"] ?? "", act, visit.Occasion);
            return secret is null || await clients.FindAsync(form["app"]!) is not { } listed
                ? Refused(visit, problem ?? "")
                : Secret(visit, listed.Client, secret, "Second secret");
        });

    [Function("OperationsAppsRetireSecret")]
    public Task<IResult> RetireSecretAsync(
        [HttpTrigger(AuthorizationLevel.Anonymous, "post", Route = "operations/apps/retire-secret")] HttpRequest request) =>
        ChangeAsync(request, RetireSecret, true, clients.RetireOldSecretAsync, "The old secret is no longer valid.");

    private Task<IResult> ChangeAsync(
        HttpRequest request, string action, bool isReasonRequired, Func<string, OperatorAct, Occasion, Task<string?>> change, string done) =>
        access.ActAsync(request, action, isReasonRequired, ShowAsync, async (visit, act, form) =>
            await change(form["app"] ?? "", act, visit.Occasion) is { } problem ? Refused(visit, problem) : visit.Back(AppPage.Of(form["app"]!), done));

    private Task<IResult> ShowAsync(OperatorVisit visit) => visit.Filter("app") is { } id ? ShowAppAsync(visit, id) : ListAsync(visit);

    private async Task<IResult> ListAsync(OperatorVisit visit)
    {
        if (visit.Filter("confirm") is "add")
        {
            return visit.Page<AppAddPage>(new() { [nameof(AppAddPage.Id)] = $"gpt_{Guid.CreateVersion7(visit.Occasion.Now):N}" });
        }

        var state = visit.Filter("state");
        var rows = await clients.SearchAsync(
            visit.Filter("q"), visit.Filter("kind"), state is "disabled", state is "unchecked", ListPlace.Parse(visit.Filter("after")) ?? ListPlace.Newest,
            ListPage<AppLine>.Size + 1);
        return visit.Page<AppsPage>(new()
        {
            [nameof(AppsPage.List)] = ListPage<AppLine>.Of(await DescribeAsync(rows), app => new ListPlace(app.CreatedAt, app.Id).ToString()),
        });
    }

    private async Task<IResult> ShowAppAsync(OperatorVisit visit, string id)
    {
        if (await clients.FindAsync(id) is not { } listed)
        {
            return visit.Problem(
                StatusCodes.Status404NotFound, "There is no such app", $"{OutsideText.Visible(id)} is not registered, or was purged because nobody used it.",
                RefusalReason.ClientUnknown);
        }

        Guid? after = Guid.TryParse(visit.Filter("after"), out var session) ? session : null;
        var events = await audit.SearchAsync(new AuditFilter { ClientId = id }, null, ShownEvents);
        var refusals = await statistics.RefusalsOfAsync(id);
        return visit.Page<AppPage>(new()
        {
            [nameof(AppPage.App)] = (await DescribeAsync([listed]))[0],
            [nameof(AppPage.Refusals)] = refusals.ConvertAll(one => new AppRefusals(one.Endpoint, one.Reason, one.Count, one.LastHour)),
            [nameof(AppPage.Sessions)] = await people.ListSessionsAsync(null, id, after, visit.Occasion.Now),
            [nameof(AppPage.Audit)] = events.Select(AuditLine.Of).ToList(),
        });
    }

    private async Task<List<AppLine>> DescribeAsync(IReadOnlyList<ListedClient> rows)
    {
        string[] ids = [.. rows.Select(row => row.Client.Id)];
        var (refusals, calls) = (await statistics.CountRefusalsAsync(ids), await statistics.LastUseOfAsync(ids));
        return
        [
            .. rows.Select(row => AppLine.Of(row) with
            {
                Refusals = refusals.GetValueOrDefault(row.Client.Id),
                LastCallAt = calls.TryGetValue(row.Client.Id, out var at) ? at : null,
            }),
        ];
    }

    private static IResult Refused(OperatorVisit visit, string problem) => visit.Problem(
        StatusCodes.Status409Conflict, "Nothing was changed", OfPage(problem));

    /// <summary>The sentences are those of the commands, which name options.</summary>
    private static string OfPage(string problem) => problem.Replace("--", "", StringComparison.Ordinal);

    /// <summary>The field of the form that a sentence is about; null when it is about none.</summary>
    private static string? FieldOf(string problem) =>
        problem.StartsWith("--name", StringComparison.Ordinal) ? "name"
        : problem.Contains("GPT id", StringComparison.Ordinal) ? "gpt"
        : problem.Contains("redirect URI", StringComparison.OrdinalIgnoreCase) ? "redirect_uri"
        : null;

    private IResult Secret(OperatorVisit visit, Client client, string secret, string title) => visit.Page<AppSecretPage>(new()
    {
        [nameof(AppSecretPage.Title)] = title,
        [nameof(AppSecretPage.App)] = AppLine.Of(new ListedClient(client, 0)),
        [nameof(AppSecretPage.Secret)] = secret,
        [nameof(AppSecretPage.BaseUrl)] = settings.Value.PublicBaseUrl,
    });
}
