namespace Svix.Exceptions;

/// <summary>Stand-in for Svix's exception: a webhook's signature does not hold.</summary>
public class WebhookVerificationException : Exception
{
    public WebhookVerificationException()
    {
    }

    public WebhookVerificationException(string message)
        : base(message)
    {
    }

    public WebhookVerificationException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
