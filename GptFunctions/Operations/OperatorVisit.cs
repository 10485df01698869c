using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.OAuth;
using GptFunctions.Operations.Pages;
using GptFunctions.Pages;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Http;

namespace GptFunctions.Operations;

/// <summary>What is wrong with a form that was sent.</summary>
/// <param name="Field">Its name in the form.</param>
/// <param name="Problem">A sentence that names the field as the page does.</param>
internal sealed record RefusedForm(FormParameters Form, string Field, string Problem);

/// <summary>Somebody who may be here, and what was asked for: every page of operations is shown to one.</summary>
public sealed class OperatorVisit
{
    /// <summary>The field with the parameters of the page that a form stands on.</summary>
    public const string HereField = "here";

    private readonly PageSession session;
    private RefusedForm? refused;

    internal OperatorVisit(HttpRequest request, PageSession session, bool mayAct, Occasion occasion) =>
        (Request, this.session, MayAct, Occasion, Query) = (request, session, mayAct, occasion, FormParameters.OfQuery(request).Value);

    public HttpRequest Request { get; }

    /// <summary>Whether they may act, too.</summary>
    public bool MayAct { get; }

    internal Person Person => session.Person;

    internal Occasion Occasion { get; }

    /// <summary>The filters of the page, as the link says them; null when it cannot be read.</summary>
    internal FormParameters? Query { get; private set; }

    /// <summary>The query of the page, for its forms to bring back.</summary>
    public string Here => refused?.Form[HereField] ?? Request.QueryString.Value ?? "";

    /// <summary>What the last action of this session did; nobody else can put words here.</summary>
    public string? Notice => Filter("notice") is { } text && session.IsCsrf(Filter("seal"), NoticePurpose(text)) ? text : null;

    /// <summary>For the form that ends this session.</summary>
    public string SignOutCsrf => session.Csrf(PageSessions.SignOutPurpose);

    public string? Filter(string name) => Query?[name];

    /// <summary>What was typed into a field of a form that was refused; null on a page that nobody has filled in.</summary>
    public string? Typed(string field) => refused?.Form[field];

    /// <summary>What is wrong with what was typed into a field; null when nothing is known to be.</summary>
    public string? ProblemOf(string field) => refused?.Field == field ? refused.Problem : null;

    /// <summary>The URL of a list as it is filtered now, with further parameters.</summary>
    internal string Link(string path, IEnumerable<FilterField> fields, params IEnumerable<(string Name, string? Value)> further) =>
        UrlQuery.Add(path, [.. fields.Select(field => (field.Name, Filter(field.Name))), .. further]);

    /// <summary>For the form of an action.</summary>
    public string Csrf(string action) => session.Csrf("operations/" + action);

    internal bool IsCsrf(string? text, string action) => session.IsCsrf(text, "operations/" + action);

    /// <param name="parameters">Those of the page, but the visit, which each has.</param>
    internal IResult Page<TPage>(Dictionary<string, object?> parameters, int? status = null)
        where TPage : IComponent
    {
        parameters[nameof(OperationsFrame.Visit)] = this;
        return PageResults.Render<TPage>(
            Request.HttpContext, parameters, status: status ?? (refused is null ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest));
    }

    /// <summary>
    /// The page that the form stands on once more: with what was typed, and at its field what is wrong with it. A sentence on a page of its own for a
    /// form that brings no page with it.
    /// </summary>
    /// <param name="form">As it was sent.</param>
    /// <param name="field">Its name in the form.</param>
    /// <param name="problem">A sentence that names the field as the page does.</param>
    /// <param name="show">Shows the page, by the visit's filters.</param>
    internal Task<IResult> AskAgainAsync(FormParameters form, string field, string problem, Func<OperatorVisit, Task<IResult>> show)
    {
        if (form[HereField] is not { } here || FormParameters.OfQuery(here).Value is not { } query)
        {
            return Task.FromResult(Problem(StatusCodes.Status400BadRequest, "Nothing was changed", problem));
        }

        RequestNotes.Of(Request.HttpContext).Refuse(new Refusal(RefusalReason.InvalidRequest));
        (Query, refused) = (query, new RefusedForm(form, field, problem));
        return show(this);
    }

    /// <summary>After an action: back to a page of ours, which says what was done.</summary>
    internal IResult Back(string url, string notice) => new SeeOther(UrlQuery.Add(url, ("notice", notice), ("seal", session.Csrf(NoticePurpose(notice)))));

    /// <summary>Why nothing was shown or changed.</summary>
    internal IResult Problem(int status, string title, string detail, RefusalReason reason = RefusalReason.InvalidRequest)
    {
        RequestNotes.Of(Request.HttpContext).Refuse(new Refusal(reason));
        return Page<OperationsProblem>(new() { [nameof(OperationsProblem.Title)] = title, [nameof(OperationsProblem.Detail)] = detail }, status);
    }

    private static string NoticePurpose(string text) => "operations notice/" + text;
}
